"""Deduplication of causes: the key of a delivery, the earlier decision, and what a repeated delivery changes.

A verdict and the alerts about it are one cause, in any order of arrival. The verdict's id is the key, also of an alert that
names the verdict. An alert is trusted only for that: it joins a cause of the same model only, and it never prevents a verdict
from being recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from services.retraining.cause import UNCLEAR, Cause, external_key
from services.retraining.ledger.records import Recorded
from services.retraining.ledger.tables import cause, decision, run
from services.retraining.policy.decision import AWAITED, Decision

ANNOUNCED = "announced"  # state of a cause created by an alert whose verdict has not arrived


@dataclass(frozen=True)
class _ExistingCause:
    model: str
    joinable: bool


def with_ledger_key(connection: Connection, received: Cause) -> Cause:
    """The cause with the key that the ledger uses for it.

    1. a verdict keeps its id, unless an alert of another model uses it: then the key combines model and id
    2. an alert takes the key of the verdict of its model that it names, whether or not the verdict has arrived
    3. an alert that names anything else keeps its own key and is marked as UNCLEAR for the policy
    """
    if received.verdict is not None:
        taken = _existing_cause(connection, received.key)
        return (
            received
            if taken is None or taken.model == received.model
            else replace(received, key=_combined_key(received, received.key))
        )
    if not received.about:
        return received
    for key in (received.about, _combined_key(received, received.about)):
        taken = _existing_cause(connection, key)
        if taken is None:
            # The verdict has not arrived. If its id is in use by another model, see 3.
            return replace(received, key=key) if key == received.about else replace(received, about=UNCLEAR)
        if taken.model == received.model and taken.joinable:
            return replace(received, key=key)
    return replace(received, about=UNCLEAR)


def known_cause(connection: Connection, key: str) -> Recorded | None:
    """The earlier decision about a cause; None if the cause is new."""
    row = connection.execute(
        select(decision.c.action, decision.c.reason_code, decision.c.reason, run.c.run_id)
        .outerjoin(run, run.c.cause_key == decision.c.cause_key)
        .where(decision.c.cause_key == key)
    ).first()
    if row is None:
        return None
    return Recorded(key, Decision(row.action, row.reason_code, row.reason), row.run_id or "", new=False)


def insert_cause(connection: Connection, received: Cause, version: str, now: datetime) -> None:
    """Insert a new cause; `version` is the served version."""
    values = {
        "key": received.key,
        "model": received.model,
        "source": received.source,
        "reason": received.reason,
        "actor": received.actor,
        "version": version,
        "state": _state_without_verdict(received),
        "deliveries": 1,
        "first_seen_at": now,
        **_of_verdict(received),
    }
    connection.execute(cause.insert().values(**values))


def _state_without_verdict(received: Cause) -> str:
    if received.source == "comparison":
        return "drift"  # of the performance; it needs a person unless a run resolves it
    return "resolved" if received.resolved else ANNOUNCED if received.about else "asked"


def count_delivery(connection: Connection, received: Cause, known: Recorded) -> None:
    """Count a repeated delivery. A verdict that an alert had announced is stored now, whatever was decided meanwhile.

    If the decision awaited the verdict, the cause becomes the verdict's; else it stays the alert's.
    """
    row = update(cause).where(cause.c.key == received.key)
    connection.execute(row.values(deliveries=cause.c.deliveries + 1))
    if received.verdict is None:
        return
    values = _of_verdict(received)
    if known.decision.reason_code == AWAITED:
        values |= {"source": received.source, "reason": received.reason, "actor": received.actor}
    connection.execute(row.where(cause.c.state == ANNOUNCED).values(**values))


def insert_decision(
    connection: Connection, received: Cause, made: Decision, event_time: datetime, now: datetime
) -> None:
    """Insert the decision about a cause; it replaces one that awaited the verdict, or was about an earlier revision of it."""
    connection.execute(delete(decision).where(decision.c.cause_key == received.key))
    connection.execute(
        decision.insert().values(
            cause_key=received.key,
            model=received.model,
            action=made.action,
            reason_code=made.reason_code,
            reason=made.reason,
            event_time=event_time,
            decided_at=now,
        )
    )


def _of_verdict(received: Cause) -> dict[str, object]:
    verdict = received.verdict
    if verdict is None:
        return {}
    return {
        "version": verdict.version,
        "state": verdict.state,
        "window_start": verdict.window_start,
        "window_end": verdict.window_end,
        "verdict": verdict.model_dump(mode="json"),
    }


def _existing_cause(connection: Connection, key: str) -> _ExistingCause | None:
    row = connection.execute(select(cause.c.model, cause.c.state).where(cause.c.key == key)).first()
    return None if row is None else _ExistingCause(row.model, row.state not in ("asked", "resolved"))


def _combined_key(received: Cause, verdict_id: str) -> str:
    return external_key(received.model, "verdict", verdict_id)
