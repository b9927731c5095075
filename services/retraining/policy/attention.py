"""Issues: decisions that need a person because no run and no person has resolved them yet. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from services.retraining.run_states import OPEN, SERVICE_DIED

Issue = Literal["drift", "data_fault", "failed", "refused"]

_UNSUCCESSFUL: Final[dict[str, Issue]] = {"failed": "failed", "refused": "refused"}
# Instead of `promoted`, of a run whose version the loop took back.
TAKEN_BACK: Final = "taken_back"
# An open run is in progress or waits for approval; a promoted run replaced the version that drifted; a rejected run was decided
# by a person. Any other end, and a version that was taken back, leaves the drift unresolved.
_RESOLVING: Final = frozenset((*OPEN, "promoted", "rejected"))
# Reason codes of decisions that wait for another run. The result of that run then also applies to the decision.
FOLLOWING: Final = ("run_in_progress", "suggestion_open", "cooling_down", "same_incident")


@dataclass(frozen=True)
class EarlierRun:
    """A run created before a decision, in its current state. `suggested`: whether it was created as a suggestion."""

    state: str
    event_time: datetime
    suggested: bool
    counts: bool


def issue_of(
    cause_state: str, reason_code: str, run: str, earlier: Sequence[EarlierRun], run_code: str = ""
) -> Issue | None:
    """The issue of a decision; None if no person is needed.

    `run` is the state of the run it started, empty if there is none, and `run_code` the reason code of that state; `earlier` are
    the model's earlier runs, oldest first.

    1. only people can repair faulty data   2. a run that failed, was refused or ended the service resolved nothing
    3. drift of a version that is no longer served is no issue
    4. drift that started a run, or waited for a run or its cooldown, is resolved if that run resolves it
    5. any other drift is unresolved: no trigger fired, no budget was left, or the automation level is observe
    """
    if cause_state == "data_fault":
        return "data_fault"
    if ended := _UNSUCCESSFUL.get(run):
        return ended
    if run_code == SERVICE_DIED:
        return "failed"
    if cause_state != "drift" or reason_code == "version_replaced":
        return None
    return None if (run or _followed_state(reason_code, earlier)) in _RESOLVING else "drift"


def _followed_state(reason_code: str, earlier: Sequence[EarlierRun]) -> str:
    """The state of the run that a decision waited for; empty if it waited for none."""
    if reason_code in ("run_in_progress", "same_incident") and earlier:
        return earlier[-1].state
    if reason_code == "suggestion_open":
        return next((one.state for one in reversed(earlier) if one.suggested), "")
    if reason_code == "cooling_down":
        cooling = [one for one in reversed(earlier) if one.counts]  # of two at the same time, the later one
        return max(cooling, key=lambda one: one.event_time).state if cooling else ""
    return ""
