"""Whether a run that does not wait for a person can be answered, and the error if it cannot. Pure."""

from __future__ import annotations

from services.retraining.ledger.records import Run
from services.retraining.run_states import ENDS, PHASES, WORKING
from shared.access.caller import authenticated_name
from shared.errors import Conflict

_PARTICIPLE = {"yes": "approved", "no": "rejected"}


def is_repeated(run: Run, last_answer: str, answer: str) -> bool:
    """Whether `answer` was given before and the run's state is what it led to, as after a retry of a lost response.

    A run that ended in another way than the person wanted is not: a success would hide that.
    """
    if last_answer != answer:
        return False
    return run.state == "rejected" if answer == "no" else run.state in (*WORKING, *PHASES, "promoted")


def is_requester(requester: str, actor: str) -> bool:
    """Whether a run was requested under the authenticated name of `actor`; `requester` is empty if nobody did."""
    return bool(requester) and authenticated_name(requester) == authenticated_name(actor)


def not_waiting(run: Run, answer: str) -> Conflict:
    """The error for an answer to a run that does not wait: its state, why it ended, and what can be done instead."""
    because = f": {run.reason.rstrip('.')}" if run.reason and run.state in ENDS else ""
    return Conflict(
        f"run {run.run_id} is {run.state} and cannot be {_PARTICIPLE[answer]}; only a waiting run can{because}",
        hint=_next(run),
    )


def _next(run: Run) -> str:
    if run.state == "promoted":
        return "its version was released; a rollback restores the one before"
    if run.state == "succeeded":
        return f"its version is stored; POST /models/{run.model}/deployments releases it"
    if run.state in ENDS:
        return "it has ended; the next cause starts another run, and POST /triggers requests one"
    return f"it is in progress; GET /runs/{run.run_id} shows how it ends"
