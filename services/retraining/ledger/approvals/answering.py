"""A person's answer to a waiting run, within a transaction: who may give it, and what it leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from services.retraining.ledger.approvals.answers import is_repeated, is_requester, not_waiting
from services.retraining.ledger.approvals.delegations import active_of
from services.retraining.ledger.approvals.expiry import expiry_reason, is_expired
from services.retraining.ledger.records import Run
from services.retraining.ledger.statements import requester_of, run_of, runs_before, transition_run
from services.retraining.ledger.tables import approval
from services.retraining.policy.decision import PastRun
from services.retraining.run_states import WAITING, after_gate
from shared.access.caller import NotPermitted, authenticated_name
from shared.errors import Conflict


@dataclass(frozen=True)
class Authority:
    """By what right a person answers.

    `may_be_own`: they may approve a run that they requested. `delegated`: they lack the scope and answer in the place of somebody
    who delegated it to them; it says of a delegator's authenticated name whether they may still approve.
    """

    may_be_own: bool = True
    delegated: Callable[[str], bool] | None = None


BY_RIGHT: Final = Authority()


def record_answer(
    connection: Connection,
    run_id: str,
    answer: str,
    actor: str,
    now: datetime,
    event_time: datetime | None,
    objection: Callable[[tuple[PastRun, ...]], str],
    authority: Authority,
) -> Run:
    """See `Ledger.answer`."""
    old = run_of(connection, run_id)
    requester = requester_of(connection, old.cause_key) if answer == "yes" else ""
    in_place_of = _delegator(connection, old, actor, requester, now, authority)
    if old.state not in WAITING:
        given = select(approval.c.answer).where(approval.c.run_id == run_id).order_by(approval.c.id.desc())
        last = connection.execute(given).first()
        if last is not None and is_repeated(old, last.answer, answer):
            return old
        raise not_waiting(old, answer)
    if not authority.may_be_own and is_requester(requester, actor):
        raise _own(run_id, "under the same name")
    if answer == "yes" and is_expired(old, now):
        # The leader ends it soon: what a person saw may no longer be what they would approve now.
        raise Conflict(
            f"run {run_id} cannot be approved any more: {expiry_reason(old)}",
            hint="request another run: `homeostat trigger`",
        )
    starts = old.state == "suggested"
    if starts and answer == "yes":
        others = tuple(past for past in runs_before(connection, old.model) if past.run_id != run_id)
        if reason := objection(others):
            raise Conflict(
                f"run {run_id} cannot start: {reason}",
                hint="try again later, or raise retraining.budget",
            )
    values = {
        "run_id": run_id,
        "answer": answer,
        "actor": actor,
        "on_behalf_of": in_place_of,
        "about": "start" if starts else "promotion",
        "gate_digest": old.gate_digest,
        "answered_at": now,
    }
    connection.execute(approval.insert().values(**values))
    if answer == "no":
        by = f"{actor} for {in_place_of}" if in_place_of else actor
        why = {"reason_code": "rejected", "reason": f"rejected by {by}"}
        return transition_run(connection, old, "rejected", now, why)
    if starts:
        return transition_run(connection, old, "queued", now, {"event_time": event_time or old.event_time})
    return transition_run(connection, old, after_gate(old.loop.rollout, old.champion), now, {})


def _delegator(
    connection: Connection, run: Run, actor: str, requester: str, now: datetime, authority: Authority
) -> str:
    """In whose place the actor answers; empty if by their own right.

    Raises NotPermitted without a delegation that holds. Who requested a run cannot have it approved in their place either.
    """
    if authority.delegated is None:
        return ""
    name = authenticated_name(actor)
    held = [
        one.delegator
        for one in active_of(connection, name, now)
        if one.covers(run.model) and authority.delegated(authenticated_name(one.delegator))
    ]
    if not held:
        raise NotPermitted(
            f"{name} lacks the scope approve, and no valid delegation lets {name} approve runs of {run.model}",
            hint="ask somebody with the scope approve to run `homeostat delegations create NAME`",
        )
    others = [one for one in held if not is_requester(requester, one)]
    if not others:
        raise _own(run.run_id, "by the person in whose place it would be approved")
    return others[0]


def _own(run_id: str, how: str) -> NotPermitted:
    return NotPermitted(
        f"run {run_id} was requested {how}, and needs the approval of another person",
        hint="let someone else with the scope approve decide",
    )
