"""Which decisions a person must review: those whose problem no run or person has resolved yet. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from services.retraining.run_states import OPEN

Issue = Literal["drift", "data_fault", "failed", "refused"]
ISSUES: Final[tuple[Issue, ...]] = get_args(Issue)

_UNSUCCESSFUL: Final[dict[str, Issue]] = {"failed": "failed", "refused": "refused"}
# A run that is open is being driven, or has a question of its own to a person; one promoted has replaced the version that
# drifted; one rejected was answered by a person. Any other end leaves the drift as it was.
_ANSWERS: Final = frozenset((*OPEN, "promoted", "rejected"))
# What a decision to wait for a run is called. Whatever the run came to is then the answer to the decision, too.
FOLLOWING: Final = ("run_in_progress", "suggestion_open", "cooling_down")


@dataclass(frozen=True)
class EarlierRun:
    """A run that was begun before a decision was made, as it is now. `suggested`: whether it began as a suggestion."""

    state: str
    event_time: datetime
    suggested: bool
    counts: bool


def issue_of(cause_state: str, reason_code: str, run: str, earlier: Sequence[EarlierRun]) -> Issue | None:
    """What about a decision a person should see; None where nobody needs to look.

    `run` is the state of the run it led to, empty where there is none; `earlier` are the model's runs before it, oldest first.

    1. faulty data is mended by people only   2. a run that failed or was refused left things as they were
    3. drift in a version that is no longer served is over
    4. drift that a run answers, or that waited for a run or its cooldown, is answered as that run was
    5. any other drift was answered by nothing: not a trigger, no budget, the automation only observes
    """
    if cause_state == "data_fault":
        return "data_fault"
    if ended := _UNSUCCESSFUL.get(run):
        return ended
    if cause_state != "drift" or reason_code == "version_replaced":
        return None
    return None if (run or _followed(reason_code, earlier)) in _ANSWERS else "drift"


def _followed(reason_code: str, earlier: Sequence[EarlierRun]) -> str:
    """The state of the run that a decision waited for; empty where it waited for none."""
    if reason_code == "run_in_progress" and earlier:
        return earlier[-1].state
    if reason_code == "suggestion_open":
        return next((one.state for one in reversed(earlier) if one.suggested), "")
    if reason_code == "cooling_down":
        cooling = [one for one in reversed(earlier) if one.counts]  # of two at one time the later begun
        return max(cooling, key=lambda one: one.event_time).state if cooling else ""
    return ""
