"""The monitoring state of one model."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.drift.model_state import ModelStateName, worst
from services.drift.monitoring.watermark_history import WatermarkHistory
from shared.contracts.verdict import Verdict


@dataclass(frozen=True)
class ClockStatus:
    """How far one clock is. Times are event times.

    `state`: that of the last verdict; `not_judged` while outcomes are overdue. `evaluated_until`: end of the last judged window.
    `next_window_end`: end of the window that is judged next; `due_at`: the event time that the lake must reach for that,
    predictions for inputs, predictions and outcomes for performance.
    """

    state: ModelStateName = "warming_up"
    evaluated_until: datetime | None = None
    next_window_end: datetime | None = None
    due_at: datetime | None = None
    last_verdict: Verdict | None = None


@dataclass(frozen=True)
class OutcomesStatus:
    """`last_observed`: the latest observation of an outcome in the lake. `coverage` and `lag_seconds`: of the last window whose
    performance was judged. `overdue_since`: when outcomes of a window were due that have not arrived; None where none are."""

    last_observed: datetime | None = None
    coverage: float | None = None
    lag_seconds: float | None = None
    overdue_since: datetime | None = None

    @property
    def summary(self) -> str:
        """One phrase for a person.

        >>> OutcomesStatus(coverage=0.98, lag_seconds=11_880.0).summary
        '98% of the last window, 3.3 h after the event'
        """
        if self.overdue_since is not None and self.last_observed is not None:
            return f"no outcomes since {self.last_observed.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if self.overdue_since is not None:
            return "no outcomes yet"
        if self.coverage is None:
            return "no window judged yet"
        lag = "" if self.lag_seconds is None else f", {_duration(self.lag_seconds)} after the event"
        return f"{self.coverage:.0%} of the last window{lag}"


def _duration(seconds: float) -> str:
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


@dataclass(frozen=True)
class ModelStatus:
    """Shown by `/status`. Times are event times.

    `state`: the worst of the clocks' states and of `alarm`, the last verdict of the stream detectors if it came after the last
    window that closed: that window's verdict takes its place. `performance` and `outcomes`: None for a model without a loss.
    `watermark`: every window that has closed at this time is judged.
    `next_window_start`: start of the next window of `generation`; rows that arrive later with an earlier event time are not
    evaluated. None before the first row of that generation.
    `reference_loss_rows`: the rows of its reference that the loss was measured on, `held out` of the training or `all`.
    `version` and `generation`: the newest release whose reference was verified.
    """

    model: str
    version: str = ""
    generation: int = 0
    inputs: ClockStatus = ClockStatus()
    performance: ClockStatus | None = None
    outcomes: OutcomesStatus | None = None
    alarm: Verdict | None = None
    watermark: datetime | None = None
    next_window_start: datetime | None = None
    reference_loss_rows: str = ""
    error: str = ""

    @property
    def clocks(self) -> list[ClockStatus]:
        """Of inputs, and of performance if there is one."""
        return [clock for clock in (self.inputs, self.performance) if clock is not None]

    @property
    def state(self) -> ModelStateName:
        """The worst state."""
        return worst([each.state for each in (self.inputs, self.performance, self.alarm) if each is not None])


@dataclass
class ModelState:
    """State of a model between polls; a restart rebuilds it from the store and the lake."""

    status: ModelStatus
    revision: Hashable = None
    busy: bool = True
    generation_known: int = 0
    retry_at: float = 0.0
    inputs_history: WatermarkHistory = field(default_factory=WatermarkHistory)
    performance_history: WatermarkHistory = field(default_factory=WatermarkHistory)
