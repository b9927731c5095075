from __future__ import annotations

from typing import Any

from services.inference.status_page import draw_status

REPORT: dict[str, Any] = {
    "ready": True,
    "started_at": "2026-01-01T00:00:00+00:00",
    "device": "cpu",
    "device_reason": "asked for",
    "models": [
        {
            "name": "flights",
            "version": "a" * 64,
            "generation": 7,
            "device": "cpu",
            "since": "2026-01-02T03:04:05.678+00:00",
            "reason": "promotion",
            "last_error": "",
        }
    ],
    "release_log": {"last_error": "", "seconds_since_read": 0.25},
    "writer": "writer-1",
    "epoch": 3,
    "spool": {
        "bytes": 1234567,
        "bound": 2000000,
        "appended": {"predictions": {"flights": 41}, "outcomes": {"flights": 1}},
        "dropped": {},
        "last_error": "",
    },
}


def test_it_says_what_is_served_and_loads_nothing_from_elsewhere() -> None:
    page = draw_status(REPORT)
    for text in (
        "flights",
        "a" * 12,
        "2026-01-02 03:04:05 UTC",
        "promotion",
        "1,234,567",
        "<td>42</td>",
        "writer-1",
    ):
        assert text in page
    assert "a" * 13 not in page
    assert "://" not in page
    assert "<script" not in page
    assert "src=" not in page


def test_it_is_light_or_dark_as_the_reader_has_it() -> None:
    assert "color-scheme: light dark" in draw_status(REPORT)


def test_what_goes_wrong_stands_out() -> None:
    dropped = {**REPORT["spool"], "dropped": {"predictions": {"flights": 5}}}
    page = draw_status({**REPORT, "ready": False, "models": [], "spool": dropped})
    assert "no model is served" in page
    assert "None yet" in page
    assert '<span class="bad">5</span>' in page
