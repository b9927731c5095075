"""What policy concludes, and the past it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from shared.contracts.verdict import State

Action = Literal["retrain", "suggest", "wait"]
ReasonCode = Literal[
    # retrain and suggest: the trigger that asked for it
    "drift",
    "floor",
    "schedule",
    "new_rows",
    "alert",
    "request",
    # wait: what stood against it
    "bad_data",
    "insufficient_data",
    "warming_up",
    "resolved",
    "verdict_awaited",
    "verdict_unclear",
    "no_project",
    "version_replaced",
    "healthy",
    "observe_only",
    "suggestion_open",
    "run_in_progress",
    "cooling_down",
    "budget_spent",
]
# The one decision that is not the last word: when the verdict comes, or an alert after it may act alone, policy is asked again.
AWAITED: Final = "verdict_awaited"


@dataclass(frozen=True)
class Decision:
    """`retrain` starts a run, `suggest` records one for a person to start, `wait` does nothing; each says why."""

    action: Action
    reason_code: ReasonCode
    reason: str
    # Event time at which the change began; the lower end of the training window `since_change`.
    change_since: datetime | None = None


@dataclass(frozen=True)
class PastRun:
    """A run that was started: when (event time), and whether it is still at work."""

    run_id: str
    event_time: datetime
    open: bool
    # False once it ended before any training began: it then counts neither for the cooldown nor for the budget.
    counts: bool = True
    suggested: bool = False


@dataclass(frozen=True)
class PastVerdict:
    """What an earlier verdict about the served version said."""

    window_start: datetime
    window_end: datetime
    state: State
    drifted: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """The past of one model, as the ledger and the lake know it."""

    version: str = ""  # the version served; empty: nothing was released
    project: bool = True  # whether a training command is known
    trained_at: datetime | None = None  # event time at which the served version was made
    rows_since: int | None = None  # rows with outcomes that arrived since then; None: not counted
    runs: tuple[PastRun, ...] = ()
    verdicts: tuple[PastVerdict, ...] = ()  # about the served version, any order
    listens: bool = True  # whether verdicts are received; where not, an alert about one is all there ever is
