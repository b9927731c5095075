"""Whether a window is closed, and whether its outcomes are due and complete. Pure; event time throughout.

open ──(predictions reach end)──▶ closed ──(outcomes are due and complete, or the wait is over)──▶ ready

The inputs of a window are judged when it is closed, its performance when it is ready.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.drift.windows import Span

Progress = Literal["open", "closed", "ready"]
# Predictions and outcomes reach the lake by separate commits: outcomes are overdue only if they are later than this share of the
# outcome delay, or of the window if that is longer.
_GRACE = 0.1


@dataclass(frozen=True)
class Watermarks:
    """Event times up to which the lake is taken to be complete; None where it holds nothing."""

    predictions: datetime | None
    outcomes: datetime | None


def ready_until(watermarks: Watermarks, length: timedelta, delay: timedelta | None) -> datetime | None:
    """The last end that a window of that length may have to be ready; None while nothing is.

    Outcomes are due when predictions reach end + `delay`, and complete when outcomes reach it too. If no outcomes arrive,
    the window waits one more window length (or `delay`, if that is longer), then it is evaluated without them. `delay` is None
    for what does not wait for outcomes.
    """
    predictions, outcomes = watermarks.predictions, watermarks.outcomes
    if predictions is None or delay is None:
        return predictions
    waited = predictions - delay - max(length, delay)
    return waited if outcomes is None else max(waited, min(predictions, outcomes) - delay)


def progress(span: Span, watermarks: Watermarks, delay: timedelta | None) -> Progress:
    """State of a window: `open` until predictions reach its end, then `closed`, and `ready` once its outcomes are complete."""
    if watermarks.predictions is None or watermarks.predictions < span.end:
        return "open"
    limit = ready_until(watermarks, span.length, delay)
    return "ready" if limit is not None and span.end <= limit else "closed"


def is_overdue(span: Span, watermarks: Watermarks, delay: timedelta) -> bool:
    """Whether the outcomes of a window should have arrived: due for some time, and the window is not ready."""
    due = span.end + delay + _GRACE * max(span.length, delay)
    waiting = progress(span, watermarks, delay) == "closed"
    return waiting and watermarks.predictions is not None and watermarks.predictions >= due


def open_until(span: Span, delay: timedelta) -> datetime:
    """The event time until which late and corrected outcomes change the verdict: from the latest time at which the window is
    ready, one more delay, at least a window length."""
    return span.end + delay + 2 * max(span.length, delay)


def until(watermarks: Watermarks, now: datetime) -> Watermarks:
    """Watermarks limited to `now`: one row dated in the future must not end every window at once."""
    predictions, outcomes = (
        None if mark is None else min(mark, now) for mark in (watermarks.predictions, watermarks.outcomes)
    )
    return Watermarks(predictions, outcomes)
