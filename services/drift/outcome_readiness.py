"""Whether the outcomes of a window are due and complete, so that it can be evaluated. Pure; event time throughout.

open ──(predictions reach end)──▶ closed ──(outcomes are due and complete, or the wait is over)──▶ ready ──▶ evaluated
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.drift.windows import Span

Progress = Literal["open", "closed", "ready"]


@dataclass(frozen=True)
class Watermarks:
    """Event times up to which the lake is taken to be complete; None where it holds nothing."""

    predictions: datetime | None
    outcomes: datetime | None


def ready_until(watermarks: Watermarks, length: timedelta, delay: timedelta | None) -> datetime | None:
    """The last end that a window of that length may have to be ready; None while nothing is.

    Outcomes are due when predictions reach end + `delay`, and complete when outcomes reach it too. If no outcomes arrive,
    the window waits one more window length (or `delay`, if that is longer), then it is evaluated without them. `delay` is None
    for a model without outcomes: its windows wait for predictions only.
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


def until(watermarks: Watermarks, now: datetime) -> Watermarks:
    """Watermarks limited to `now`: one row dated in the future must not end every window at once."""
    predictions, outcomes = (
        None if mark is None else min(mark, now) for mark in (watermarks.predictions, watermarks.outcomes)
    )
    return Watermarks(predictions, outcomes)
