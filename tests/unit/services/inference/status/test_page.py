from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from itertools import takewhile
from typing import Any

import pytest

from services.inference.status.page import CONTENT_SECURITY_POLICY, render_status

MODEL: dict[str, Any] = {
    "name": "flights",
    "version": "a" * 64,
    "generation": 7,
    "loaded": True,
    "calls": {"expected_call_seconds": 0.00012345, "inline": True, "estimate_changes": 0},
    "device": "cpu",
    "precision": "fp32",
    "runtime": "onnxruntime",
    "precision_difference": None,
    "since": "2026-01-02T03:04:05.678+00:00",
    "released_by": "loop",
    "reason": "promotion",
    "last_error": "",
    "sides": [],
    "requests": {"answered": 1234, "refused": 5, "failed": 0},
    "last_prediction_at": "2026-01-02T04:00:00+00:00",
    "seconds_since_prediction": 7.25,
}
WORKER: dict[str, Any] = {
    "worker": 1,
    "ready": True,
    "started_at": "2026-01-01T00:00:00+00:00",
    "device": "cuda",
    "models": [{"name": "flights", "version": "a" * 64, "generation": 7}],
    "answered": 1234,
    "refused": 5,
    "failed": 0,
    "in_flight": 3,
    "maximum_in_flight": 256,
}
REPORT: dict[str, Any] = {
    "ready": True,
    "at": "2026-01-02T04:00:07.25+00:00",
    "started_at": "2026-01-01T00:00:00+00:00",
    "device": "cpu",
    "device_reason": "requested",
    "models": [MODEL],
    "model_memory": {
        "bound_bytes": None,
        "bytes": 0,
        "loaded": 1,
        "unloaded": 0,
        "demand_loads": {},
        "loads_last_minute": 0,
    },
    "requests": {
        "answered": 1234,
        "refused": 6,
        "failed": 2,
        "in_flight": 3,
        "calls_queued": 4,
        "errors": {"422": 6, "500": 2},
        "last_prediction_at": "2026-01-02T04:00:00+00:00",
        "seconds_since_prediction": 7.25,
    },
    "release_log": {
        "last_error": "",
        "seconds_since_read": 0.25,
        "models": ["flights"],
        "followed": ["flights"],
    },
    "writer": "writer-1",
    "epoch": 3,
    "spool": {
        "bytes": 1234567,
        "bound": 2000000,
        "appended": {"predictions": {"flights": 41}, "outcomes": {"flights": 1}},
        "dropped": {},
        "last_error": "",
    },
    "messages": [],
    "worker": 1,
    "workers": [WORKER],
}
SEVERAL = {**REPORT, "workers": [WORKER, {**WORKER, "worker": 2, "ready": False, "models": []}]}
EMPTY = {
    **REPORT,
    "ready": False,
    "models": [],
    "requests": {
        **dict.fromkeys(("answered", "refused", "failed", "in_flight", "calls_queued"), 0),
        "errors": {},
        "last_prediction_at": "",
        "seconds_since_prediction": None,
    },
    "messages": [{"level": "info", "text": "No model is released yet: `homeostat deploy` releases one."}],
}
VOID = {"meta", "link"}


class Page(HTMLParser):
    """The elements of a page in order, each with its attributes, ancestors and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...], list[str]]] = []
        self._open: list[int] = []
        self.feed(text)
        assert self._open == [], "an element was not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        ancestors = tuple(self.elements[place][0] for place in self._open)
        self.elements.append((tag, dict(attrs), ancestors, []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.elements[place][3].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], tuple[str, ...], str]]:
        return [
            (attributes, ancestors, "".join(text))
            for name, attributes, ancestors, text in self.elements
            if name == tag
        ]

    def texts(self, tag: str) -> list[str]:
        return [text for _, _, text in self.all(tag)]

    def row(self, head: str) -> list[str]:
        """The cells of the row with that head."""
        cells = [
            (tag, attributes, "".join(text))
            for tag, attributes, _, text in self.elements
            if tag in ("th", "td", "tr")
        ]
        start = cells.index(("th", {"scope": "row"}, head))
        return [text for _, _, text in takewhile(lambda cell: cell[0] == "td", cells[start + 1 :])]


def test_page_shows_models_requests_and_spool() -> None:
    page = Page(render_status(REPORT))
    assert page.texts("title") == ["Homeostat inference, ready"]
    assert page.row("flights") == [
        "a" * 12,
        "7",
        "served",
        "2026-01-02 04:00:00 UTC, 7.2 s ago",
        "1,234",
        "5",
        "0",
        "promotion by loop",
        "2026-01-02 03:04:05 UTC",
        "cpu",
        "0.123 ms, on the event loop",
    ]
    assert page.row("last prediction") == ["2026-01-02 04:00:00 UTC, 7.2 s ago"]
    assert page.row("in flight") == ["3"]
    assert page.row("model calls waiting for a thread") == ["4"]
    assert page.row("failed (5xx, server errors)") == ["2"]
    assert (page.row("422"), page.row("500")) == (["6"], ["2"])
    assert page.row("waiting for the shipper") == ["1,234,567 of 2,000,000 bytes"]
    assert page.row("rows written") == ["42"]
    assert page.row("last read") == ["0.2 s ago"]


def test_page_shows_workers_where_there_are_several() -> None:
    assert "Workers" not in Page(render_status(REPORT)).texts("h2")
    page = Page(render_status(SEVERAL))
    assert page.row("1") == [
        "ready",
        f"flights {'a' * 12} (7)",
        "3 of 256",
        "1,234",
        "5",
        "0",
        "cuda",
        "2026-01-01 00:00:00 UTC",
    ]
    assert page.row("2")[:2] == ["not ready", "none"]


@pytest.mark.parametrize("report", [REPORT, EMPTY, SEVERAL], ids=["full", "empty", "workers"])
def test_page_is_accessible(report: dict[str, Any]) -> None:
    page = Page(render_status(report))
    assert page.all("html")[0][0]["lang"] == "en"
    assert page.texts("h1") == ["Homeostat inference"]
    assert [len(page.all(landmark)) for landmark in ("header", "main", "footer")] == [1, 1, 1]
    ids = [attributes["id"] for _, attributes, _, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    first = next(attributes for tag, attributes, _, _ in page.elements if tag in ("a", "button"))
    assert (first["href"], first["class"]) == ("#main", "skip")
    assert page.all("main")[0][0]["id"] == "main"
    for attributes, _, _ in page.all("section"):
        assert attributes["aria-labelledby"] in ids
    assert len(page.all("caption")) == len(page.all("table")) > 0
    assert {attributes.get("scope") for attributes, _, _ in page.all("th")} <= {"row", "col"}
    # What scrolls sideways can be reached with the keyboard, and has a name.
    regions = [attributes for attributes, _, _ in page.all("div") if attributes.get("class") == "scroll"]
    assert [(region["role"], region["tabindex"]) for region in regions] == [("region", "0")] * len(regions)
    assert {region["aria-labelledby"] for region in regions} <= set(ids)
    # Colour is never the only sign.
    assert all(text.strip() for attributes, _, text in page.all("span") if attributes.get("class") == "bad")


def test_refresh_can_be_paused_and_is_announced() -> None:
    page = Page(render_status(REPORT))
    assert [attributes for attributes, _, _ in page.all("meta") if "http-equiv" in attributes] == []
    [(button, ancestors, text)] = page.all("button")
    assert (text, button["type"], "hidden" in button) == ("Pause updates", "button", True)
    assert "main" not in ancestors, "what the script swaps must not hold the control that stops it"
    speaking = [
        (attributes["id"], ancestors)
        for _, attributes, ancestors, _ in page.elements
        if attributes.get("role") == "status" or "aria-live" in attributes
    ]
    assert [name for name, _ in speaking] == ["updates", "news"]
    assert all("main" not in ancestors for _, ancestors in speaking)
    assert page.texts("noscript") == ["Reload the page for newer data."]


def test_policy_allows_only_own_style_and_script() -> None:
    text = render_status(REPORT)
    page = Page(text)
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        [content] = page.texts(tag)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}';" in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none';")
    assert "://" not in text
    assert "src=" not in text
    for _, attributes, _, _ in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert attributes.get("href", "/").startswith(("/", "#", "data:,"))  # type: ignore[union-attr]


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("paper", ["paper", "card"])
@pytest.mark.parametrize("ink", ["ink", "soft", "info", "good", "bad"])
def test_colours_have_enough_contrast(mode: int, paper: str, ink: str) -> None:
    [style] = Page(render_status(REPORT)).texts("style")
    assert "color-scheme: light dark" in style
    colours = {
        name: pair
        for name, *pair in re.findall(r"--(\w+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", style)
    }
    dark, light = sorted((luminance(colours[ink][mode]), luminance(colours[paper][mode])))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_server_with_models_that_is_not_ready_shows_the_reason() -> None:
    page = Page(render_status({**REPORT, "ready": False}))
    summary = next(text for attributes, _, text in page.all("p") if attributes.get("id") == "summary")
    assert summary == "Not ready: the server is starting or ending."


def test_empty_page_shows_the_reason() -> None:
    page = Page(render_status(EMPTY))
    assert page.texts("title") == ["Homeostat inference, not ready"]
    summary = next(text for attributes, _, text in page.all("p") if attributes.get("id") == "summary")
    assert summary == "Not ready: no model is served."
    assert page.texts("li") == ["No model is released yet: `homeostat deploy` releases one."]
    assert page.row("last prediction") == ["none yet"]
    assert "No model yet." in page.texts("p")
    assert "No request failed." in page.texts("p")


def test_problems_are_marked_and_escaped() -> None:
    dropped = {**REPORT["spool"], "dropped": {"predictions": {"flights": 5}}}
    broken = {**MODEL, "name": "<script>x</script>", "version": "", "last_error": "no graph", "since": ""}
    messages = [{"level": "problem", "text": "<img src=x>"}]
    text = render_status({**REPORT, "models": [broken], "spool": dropped, "messages": messages})
    page = Page(text)
    assert page.row("rows dropped") == ["5"]
    assert '<span class="bad">5</span>' in text
    assert [page.row("<script>x</script>")[place] for place in (0, 2, 7, 8)] == ["–", "not served", "–", "–"]
    assert page.texts("li") == ["Problem: <img src=x>"]
    assert len(page.all("script")) == 1
    assert page.all("img") == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0.0 s ago"), (119.9, "119.9 s ago"), (120, "2 min ago"), (7200, "2 h ago"), (259200, "3 d ago")],
)
def test_ages_are_in_their_largest_unit(seconds: float, said: str) -> None:
    log = {**REPORT["release_log"], "seconds_since_read": seconds}
    assert Page(render_status({**REPORT, "release_log": log})).row("last read") == [said]
