"""After a rollback a challenger is judged on rows since the release that was taken back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from services.retraining.ledger.watches import Watch
from services.retraining.runs.rolled_back_rows import without_rows_before_rollback
from services.retraining.snapshots.pin import Pin
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_installation import LOOP, START

SPEC = LoopSpec.model_validate(LOOP)  # outcomes after two hours, a holdout of five days
WATERMARK = START + timedelta(days=20)
HOLDOUT_FROM = WATERMARK - timedelta(days=5, hours=2)
PIN = Pin(1, 1, WATERMARK.isoformat(), (("a", "b"),))


def watch(rows_from: datetime | None, state: Any) -> Watch:
    return Watch(
        "toy", 2, "b", "a", 1, "promotion", "run-1", "log_loss", 0.0, START, state, rows_from=rows_from
    )


def test_older_holdout_rows_are_left_out() -> None:
    since = WATERMARK - timedelta(days=2)
    made = without_rows_before_rollback(PIN, SPEC, [watch(since, "rolled_back")])
    assert made.faulty == (("a", "b"), (HOLDOUT_FROM.isoformat(), since.isoformat()))


def test_the_latest_rollback_counts() -> None:
    since = WATERMARK - timedelta(days=2)
    earlier = watch(WATERMARK - timedelta(days=3), "rolled_back")
    made = without_rows_before_rollback(PIN, SPEC, [earlier, watch(since, "rolled_back")])
    assert made.faulty[-1][1] == since.isoformat()


def test_a_holdout_that_is_newer_is_whole() -> None:
    assert without_rows_before_rollback(PIN, SPEC, [watch(HOLDOUT_FROM, "rolled_back")]) == PIN


def test_other_outcomes_of_a_watch_leave_nothing_out() -> None:
    since = WATERMARK - timedelta(days=2)
    others = [watch(since, state) for state in ("kept", "worse", "superseded", "failed", "watching")]
    assert without_rows_before_rollback(PIN, SPEC, [*others, watch(None, "rolled_back")]) == PIN
