"""Numbers of injected rows: enough for a verdict and for a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from local_stack.fault_injection.row_counts import (
    MAX_RUN_ROWS,
    RowCount,
    row_count,
    rows_for_run,
    too_few_for_a_run,
    too_few_for_a_verdict,
)
from local_stack.fault_injection.timeline import EventRange, plan
from services.retraining.runs.cut_offs import CutOffs, cut_offs
from shared.contracts.loop_spec import LoopSpec
from tests.unit.local_stack.fault_injection.reference import loop

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
# As the project of `homeostat init` has it: 200 rows a day.
KNOWN = EventRange(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=UTC), 6000)


def loop_with(
    *,
    window: dict[str, Any] | None = None,
    delay: str = "3d",
    holdout: str = "3d",
    minimum: int = 200,
    **more: Any,
) -> LoopSpec:
    plain = loop().model_dump(mode="json")
    plain["drift"]["window"] = window or {"every": "1d", "minimum_rows": 200}
    plain["outcome"] = {"delay": delay}
    plain["gate"] = {"holdout": holdout, "minimum_rows": minimum}
    plain["retraining"] = {"command": ["python", "train.py"], **more}
    return LoopSpec.model_validate(plain)


def sent(spec: LoopSpec, known: EventRange, count: RowCount) -> tuple[CutOffs, list[datetime]]:
    """Where a run divides the rows, and the event times of those that are sent."""
    delay = spec.require_performance().outcome.delay
    timeline = plan(spec.drift.window, delay, known, count.windows, NOW, with_outcomes=True)
    assert timeline.last is not None
    return cut_offs(spec, timeline.last), list(timeline.event_times(count.rows))


def test_rows_fill_the_windows_asked_for() -> None:
    assert row_count(loop_with(), KNOWN, None, 3) == RowCount(1200, 3)
    assert row_count(loop_with(), KNOWN, 50, 1) == RowCount(50, 1)
    assert row_count(loop_with(), KNOWN, 900, None) == RowCount(900, 2)


def test_rows_for_a_run_are_holdout_and_training_rows() -> None:
    assert row_count(loop_with(), KNOWN, None, None) == rows_for_run(loop_with(), KNOWN) == RowCount(3600, 9)


@pytest.mark.parametrize(
    "spec",
    [
        loop_with(),
        loop_with(delay="0s"),
        loop_with(delay="5h"),
        loop_with(delay="36h", holdout="2d", minimum=500),
        loop_with(holdout="10d", minimum_rows=3000),
        loop_with(delay="1d", holdout="13h"),
        loop_with(minimum=5000),
        loop_with(window={"rows": 500}),
        loop_with(window={"every": "6h", "minimum_rows": 50}, holdout="1d"),
    ],
    ids=range(9),
)
def test_run_on_these_rows_alone_has_enough(spec: LoopSpec) -> None:
    count = rows_for_run(spec, KNOWN)
    assert count is not None
    cut, times = sent(spec, KNOWN, count)
    training = sum(cut.training_from <= one < cut.training_until for one in times)
    holdout = sum(cut.holdout_from <= one <= cut.settled for one in times)
    assert training >= spec.require_performance().retraining.minimum_rows
    assert holdout >= spec.require_performance().gate.minimum_rows
    assert too_few_for_a_run(spec, KNOWN, count) == ""


def test_generation_with_fractions_has_enough_for_a_run() -> None:
    first = datetime(2026, 3, 1, 7, 30, 0, 1, tzinfo=UTC)
    known = replace(KNOWN, newest=first, generation_first=first, generation_newest=first)
    spec = loop_with()
    count = rows_for_run(spec, known)
    assert count == RowCount(3200, 8)  # of the holdout's three days the last has no rows
    cut, times = sent(spec, known, count)
    assert (
        sum(one < cut.training_until for one in times) >= spec.require_performance().retraining.minimum_rows
    )
    assert sum(cut.holdout_from <= one <= cut.settled for one in times) == 800


def test_short_training_window_gets_denser_rows() -> None:
    plain = loop_with(minimum_rows=1000).model_dump(mode="json")
    plain["retraining"]["window"] = {"use": "last", "span": "1d"}
    count = rows_for_run(LoopSpec.model_validate(plain), KNOWN)
    assert count is not None
    assert count.rows / count.windows == 1001


def test_without_a_reachable_run_one_window_is_sent() -> None:
    for spec in (loop_with(holdout="90d"), loop_with(delay="12h", holdout="12h")):
        assert rows_for_run(spec, KNOWN) is None
        assert row_count(spec, KNOWN, None, None) == RowCount(400, 1)
        warning = too_few_for_a_run(spec, KNOWN, RowCount(400, 1))
        assert f"a run needs more than {MAX_RUN_ROWS} rows, or a longer gate.holdout" in warning


def test_run_warning_gives_the_numbers() -> None:
    assert too_few_for_a_run(loop_with(), KNOWN, RowCount(400, 1)) == (
        "a run on these rows alone will be abandoned: of 400, 400 are in its holdout (gate.minimum_rows is 200) and 0 are "
        "training rows (retraining.minimum_rows is 1000); 3600 rows in 9 windows are enough, which is the default without --rows "
        "and --windows"
    )


def test_verdict_warning_gives_the_rows_needed() -> None:
    assert too_few_for_a_verdict(loop_with(), RowCount(400, 2)) == ""
    assert too_few_for_a_verdict(loop_with(), RowCount(399, 2)) == (
        "199 rows per window are fewer than drift.window.minimum_rows, 200: the verdict will be "
        "insufficient_data; send at least 400 rows"
    )
    by_rows = loop_with(window={"rows": 500})
    assert too_few_for_a_verdict(by_rows, RowCount(500, 1)) == ""
    assert "send at least 500 rows" in too_few_for_a_verdict(by_rows, RowCount(499, 1))
