"""What is dropped is named in the log, and the log does not grow with the traffic."""

from __future__ import annotations

import structlog

from services.inference.prediction.drop_warnings import DropWarnings


def test_warnings_are_rate_limited() -> None:
    now = [100.0]
    drops = DropWarnings(clock=lambda: now[0], every=10.0)
    with structlog.testing.capture_logs() as lines:
        drops.add("predictions", "toy", ["a", "b"])
        drops.add("predictions", "toy", ["c"])
        now[0] = 109.9
        drops.add("predictions", "toy", ["d", "e", "f"])
        assert len(lines) == 1
        now[0] = 110.0
        drops.add("predictions", "toy", ["g"])
    assert [(line["event"], line["prediction_id"], line["rows"]) for line in lines] == [
        ("rows_dropped", "a", 2),
        ("rows_dropped", "c", 5),
    ]


def test_warnings_per_kind_and_model() -> None:
    drops = DropWarnings(clock=lambda: 0.0)
    with structlog.testing.capture_logs() as lines:
        drops.add("predictions", "toy", ["a"])
        drops.add("outcomes", "toy", ["a"])
        drops.add("predictions", "other", ["x"])
    assert [(line["kind"], line["model"], line["prediction_id"]) for line in lines] == [
        ("predictions", "toy", "a"),
        ("outcomes", "toy", "a"),
        ("predictions", "other", "x"),
    ]
