"""The table of the days."""

from __future__ import annotations

from examples.images.data import BEGINS
from examples.images.replay import Replayed
from examples.images.report import daily


def _replayed() -> Replayed:
    return Replayed(
        day=[0, 0, 8, 8],
        prediction_id=["a", "b", "c", "d"],
        label=["good", "open", "good", "dent"],
        version=["v1", "v1", "v1", "v2"],
        outcome=["good", "dent", "good", "dent"],
    )


def test_shares_versions_and_verdicts_by_day() -> None:
    verdicts = [  # the newest comes first
        {
            "window_start": "2026-03-09T22:00:00+00:00",
            "window_end": "2026-03-10T22:00:00+00:00",
            "detector": "performance",
            "state": "ok",
        },
        {
            "window_start": "2026-03-10T11:00:00+00:00",
            "window_end": "2026-03-10T11:10:00+00:00",
            "detector": "stream",
            "state": "data_fault",
        },
        {
            "window_start": "2026-03-09T22:00:00+00:00",
            "window_end": "2026-03-10T22:00:00+00:00",
            "detector": "inputs",
            "state": "drift",
        },
        {
            "window_start": "2026-03-10T00:00:00+00:00",
            "window_end": "2026-03-11T00:00:00+00:00",
            "state": "ok",
        },
    ]
    days = daily(_replayed(), {0: ["good", "dent"], 8: ["open", "open"]}, verdicts, BEGINS)
    assert days.to_dict("records") == [
        {
            "day": 0,
            "camera": "installed",
            "pictures": 2,
            "served": 0.5,
            "first": 1.0,
            "versions": "1",
            "verdict": "",
        },
        {
            "day": 8,
            "camera": "lamp faded",
            "pictures": 2,
            "served": 1.0,
            "first": 0.0,
            "versions": "1 2",
            "verdict": "drift",
        },
    ]


def test_a_day_with_a_lost_request_has_no_comparison() -> None:
    days = daily(_replayed(), {0: ["good", "dent", "open"], 8: ["open", "open"]}, [], BEGINS)
    assert days["first"].isna().tolist() == [True, False]
