"""How many rows a scenario sends: enough windows for a verdict, and for a run that trains on them and evaluates on them. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from local_stack.fault_injection.timeline import EventRange, closing_gap, rows_per_window, window_length
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.retraining_spec import LastRows

# More rows are only sent if a person asks for them: at the default rate these take 100 seconds.
MAX_RUN_ROWS = 20_000


@dataclass(frozen=True)
class RowCount:
    """`rows` in total, spread evenly over `windows` drift windows."""

    rows: int
    windows: int


def row_count(loop: LoopSpec, event_range: EventRange, rows: int | None, windows: int | None) -> RowCount:
    """`windows` full windows, or `rows` in as many windows as they fill; if both are None, enough for a run."""
    if rows is None and windows is None and (needed := rows_for_run(loop, event_range)) is not None:
        return needed
    each = rows_per_window(loop.drift.window, event_range)
    least = windows or 1
    count = rows or each * least
    return RowCount(count, max(least, count // each))


def rows_for_run(loop: LoopSpec, event_range: EventRange) -> RowCount | None:
    """Rows of which a run gets enough training and holdout rows, without others in the lake; None if above MAX_RUN_ROWS.

    The holdout ends where the last window ends, because the row that closes it comes only outcome.delay later.
    """
    length, holdout = window_length(loop.drift.window, event_range), _holdout(loop, event_range)
    performance = loop.performance
    if holdout <= timedelta(0) or performance is None:
        return None
    training_rows, window = performance.retraining.minimum_rows + 1, performance.retraining.window
    each = max(
        rows_per_window(loop.drift.window, event_range),
        math.ceil((performance.gate.minimum_rows + 1) * (length / holdout)),
    )
    if isinstance(window, LastRows) and window.span is not None:
        each = max(each, math.ceil(training_rows * (length / window.span)))
    # Rows of the last outcome.delay before the holdout are no training rows.
    windows = math.ceil((holdout + performance.outcome.delay) / length + training_rows / each)
    return RowCount(each * windows, windows) if each * windows <= MAX_RUN_ROWS else None


def too_few_for_a_verdict(loop: LoopSpec, count: RowCount) -> str:
    """A warning if no window of `count` can be evaluated; else empty."""
    window = loop.drift.window
    if window.rows is not None:
        if count.rows >= window.rows:
            return ""
        return (
            f"{count.rows} rows do not fill a window, drift.window.rows is {window.rows}: there is no verdict until later rows "
            f"fill it; send at least {window.rows} rows"
        )
    each = count.rows // count.windows
    if each >= window.minimum_rows:
        return ""
    return (
        f"{each} rows per window are fewer than drift.window.minimum_rows, {window.minimum_rows}: the verdict will be "
        f"insufficient_data; send at least {window.minimum_rows * count.windows} rows"
    )


def too_few_for_a_run(loop: LoopSpec, event_range: EventRange, count: RowCount) -> str:
    """A warning if a run on the rows of `count` alone is abandoned; else empty."""
    performance = loop.require_performance()
    gate, retraining = performance.gate, performance.retraining
    length = window_length(loop.drift.window, event_range) * count.windows
    share = min(1.0, max(0.0, _holdout(loop, event_range) / length))
    in_holdout = math.floor(count.rows * share)
    until = min(1.0, share + performance.outcome.delay / length)
    in_training = math.floor(count.rows * (1 - until))
    if in_holdout >= gate.minimum_rows and in_training >= retraining.minimum_rows:
        return ""
    needed = rows_for_run(loop, event_range)
    advice = (
        f"{needed.rows} rows in {needed.windows} windows are enough, which is the default without --rows and --windows"
        if needed is not None
        else f"a run needs more than {MAX_RUN_ROWS} rows, or a longer gate.holdout"
    )
    return (
        f"a run on these rows alone will be abandoned: of {count.rows}, {in_holdout} are in its holdout (gate.minimum_rows is "
        f"{gate.minimum_rows}) and {in_training} are training rows (retraining.minimum_rows is "
        f"{retraining.minimum_rows}); {advice}"
    )


def _holdout(loop: LoopSpec, event_range: EventRange) -> timedelta:
    """The part of the holdout in which injected rows lie; none of a model without a loss."""
    performance = loop.performance
    if performance is None:
        return timedelta(0)
    return performance.gate.holdout - closing_gap(loop.drift.window, performance.outcome.delay, event_range)
