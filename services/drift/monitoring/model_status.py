"""The monitoring state of one model."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime

from services.drift.monitoring.watermark_history import WatermarkHistory
from shared.contracts.verdict import Verdict


@dataclass(frozen=True)
class ModelStatus:
    """Shown by `/status`. Times are event times.

    `watermark`: every window that is ready at this time is evaluated. `evaluated_until`: end of the last evaluated window.
    `next_window_start`: start of the next window of `generation`; rows that arrive later with an earlier event time are not
    evaluated. None before the first row of that generation.
    `reference_loss_rows`: the rows of its reference that the loss was measured on, `held out` of the training or `all`.
    `next_window_end`: end of the window that is evaluated next; `next_window_ready_at`: the event time that both predictions and
    outcomes must reach for that. `version` and `generation`: the newest release whose reference was verified.
    """

    model: str
    version: str = ""
    generation: int = 0
    state: str = "warming_up"
    watermark: datetime | None = None
    outcomes_watermark: datetime | None = None
    evaluated_until: datetime | None = None
    next_window_start: datetime | None = None
    next_window_end: datetime | None = None
    next_window_ready_at: datetime | None = None
    last_verdict: Verdict | None = None
    reference_loss_rows: str = ""
    error: str = ""


@dataclass
class ModelState:
    """State of a model between polls; a restart rebuilds it from the store and the lake."""

    status: ModelStatus
    revision: Hashable = None
    busy: bool = True
    generation_known: int = 0
    retry_at: float = 0.0
    history: WatermarkHistory = field(default_factory=WatermarkHistory)
