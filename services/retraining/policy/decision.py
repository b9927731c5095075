"""The decision of the policy, and the history it uses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.contracts.verdict import Detector, State

Action = Literal["retrain", "suggest", "wait"]
ReasonCode = Literal[
    # retrain and suggest: the trigger that fired
    "drift",
    "floor",
    "schedule",
    "new_rows",
    "worse_than_first",
    "alert",
    "request",
    # wait: why nothing starts
    "bad_data",
    "insufficient_data",
    "warming_up",
    "resolved",
    "verdict_awaited",
    "verdict_unclear",
    "no_project",
    "version_replaced",
    "healthy",  # verdict `ok`
    "no_trigger",  # verdict `drift`, but no trigger of loop.yaml fired
    "observe_only",
    "suggestion_open",
    "same_incident",  # a run followed the other detector of inputs, or had the window of this revised verdict
    "run_in_progress",
    "cooling_down",
    "budget_spent",
]
# The only decision that is not final: the policy decides again when the verdict arrives, or when an alert may act alone.
AWAITED: Final = "verdict_awaited"
# Of the verdicts about a version, the policy sees the newest ones.
MAX_VERDICTS: Final = 128


@dataclass(frozen=True)
class Decision:
    """`retrain` starts a run, `suggest` records a run for a person to start, `wait` does nothing. Each has a reason."""

    action: Action
    reason_code: ReasonCode
    reason: str
    # Event time at which the drift began; start of the training window `since_change`.
    change_since: datetime | None = None


@dataclass(frozen=True)
class PastRun:
    """An earlier run: its event time, whether it is open, and the detector of the verdict it followed (empty: none)."""

    run_id: str
    event_time: datetime
    open: bool
    # False if it ended before training began: it then counts neither for the cooldown nor for the budget.
    counts: bool = True
    suggested: bool = False
    detector: str = ""


@dataclass(frozen=True)
class PastVerdict:
    """An earlier scheduled verdict about the served version, in its latest revision."""

    window_start: datetime
    window_end: datetime
    state: State
    drifted: tuple[str, ...]
    detector: Detector = "performance"


@dataclass(frozen=True)
class History:
    """The history of one model, from ledger and lake."""

    version: str = ""  # the served version; empty if nothing was released
    project: bool = True  # whether a project folder is recorded
    trained_at: datetime | None = None  # event time at which the served version was trained
    rows_since: int | None = None  # outcomes observed since then; None if not counted
    runs: tuple[PastRun, ...] = ()
    verdicts: tuple[PastVerdict, ...] = ()  # about the served version, in any order
    newest_is_faulty: bool = (
        False  # whether the data of the newest window is faulty, whichever version it is about
    )
    consumes_verdicts: bool = True  # if False, no verdict arrives and an alert about one decides
