"""The event times that divide the lake's rows into training rows, holdout rows and rows that a run does not use. Pure.

training_from ─────────▶ training_until ─────────▶ holdout_from ────────▶ settled ─────────▶ watermark (newest prediction)
             training rows           outcome.delay:            gate.holdout        outcome.delay:
                                     not used (embargo)                            not used
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.retraining_spec import AllRows, LastRows

_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class CutOffs:
    """`training_from` is the earliest time if the training window has no span."""

    training_from: datetime
    training_until: datetime
    holdout_from: datetime
    settled: datetime
    watermark: datetime

    def training(self) -> str:
        """The interval of the training rows."""
        since = "the first row" if self.training_from == _EARLIEST else _time(self.training_from)
        return f"from {since} until {_time(self.training_until)}"

    def holdout(self) -> str:
        """The interval of the holdout rows."""
        return f"from {_time(self.holdout_from)} to {_time(self.settled)}"


def cut_offs(spec: LoopSpec, watermark: datetime) -> CutOffs:
    """Counted back from the newest prediction.

    Rows newer than outcome.delay have an outcome only if it came early: they would bias the sample. The outcome of a row less
    than outcome.delay before the holdout becomes known during the holdout: a model in service at its start could not have been
    trained on it. This gap is the embargo of López de Prado, Advances in Financial Machine Learning (2018), section 7.4.2.
    """
    performance = spec.require_performance()
    settled = watermark - performance.outcome.delay
    holdout_from = settled - performance.gate.holdout
    training_until = holdout_from - performance.outcome.delay
    window, training_from = performance.retraining.window, _EARLIEST
    if isinstance(window, LastRows) and window.span is not None:
        training_from = max(_EARLIEST, training_until - window.span)
    return CutOffs(training_from, training_until, holdout_from, settled, watermark)


def explain_cut_offs(spec: LoopSpec, cut: CutOffs) -> str:
    """Where the intervals come from, and what gives a run more rows."""
    performance = spec.require_performance()
    delay, holdout = _length(performance.outcome.delay), _length(performance.gate.holdout)
    return (
        f"The newest prediction is of {_time(cut.watermark)}: the last {delay} before it "
        f"(outcome.delay) are not used, the {holdout} before those (gate.holdout) are the holdout, and the {delay} before it "
        "are not used either, because their outcomes become known during the holdout. Wait until there are predictions and "
        "outcomes for these intervals, or change gate.holdout or the minimum in loop.yaml and deploy again"
    )


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _length(length: timedelta) -> str:
    seconds = length.total_seconds()
    return f"{seconds / 86400:g} d" if seconds >= 86400 else f"{seconds / 3600:g} h"


def without_intervals(rows: pa.Table, faulty: tuple[tuple[str, str], ...]) -> pa.Table:
    """The rows whose event time is in none of the intervals [from, until), in ISO 8601."""
    times = rows["event_time"]
    for start, end in faulty:
        begin, stop = (pa.scalar(datetime.fromisoformat(value), times.type) for value in (start, end))
        rows = rows.filter(pc.or_(pc.less(times, begin), pc.greater_equal(times, stop)))
        times = rows["event_time"]
    return rows


def training_rows(rows: int, spec: LoopSpec, since: int | None) -> int:
    """How many of the newest `rows` are the training window; `since`: how many are newer than the change, if there was one."""
    window = spec.require_performance().retraining.window
    if isinstance(window, LastRows):
        return rows if window.rows is None else window.rows
    return rows if isinstance(window, AllRows) or since is None else max(since, window.minimum_rows)
