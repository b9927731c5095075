"""One delivery of a cause: under which key it is kept, what was decided before, and what it adds.

A verdict and the alerts about it are one cause, in whichever order they come. The verdict's id is its key, and an alert that
names the verdict is kept under it. An alert is not trusted further than that: it joins only what is about the same model, and it
never keeps a verdict out of the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from services.retraining.cause import UNCLEAR, Cause, external_key
from services.retraining.ledger.records import Recorded
from services.retraining.ledger.tables import cause, decision, run
from services.retraining.policy.decision import AWAITED, Decision

ANNOUNCED = "announced"  # state of a cause that an alert brought and whose verdict was not received


@dataclass(frozen=True)
class _ExistingCause:
    model: str
    joinable: bool


def with_ledger_key(connection: Connection, received: Cause) -> Cause:
    """The cause under the key it is kept by.

    1. a verdict keeps its id, unless an alert of another model took that: then a key made of both, the same at every delivery
    2. an alert goes to the verdict of its model that it names, received or not
    3. one that names anything else keeps its own key, and is marked as unclear for policy
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
            # Nobody has received of the verdict yet. Beside a key that is taken, nothing waits: see 3.
            return replace(received, key=key) if key == received.about else replace(received, about=UNCLEAR)
        if taken.model == received.model and taken.joinable:
            return replace(received, key=key)
    return replace(received, about=UNCLEAR)


def known_cause(connection: Connection, key: str) -> Recorded | None:
    """What was decided about a cause before; None where it is new."""
    row = connection.execute(
        select(decision.c.action, decision.c.reason_code, decision.c.reason, run.c.run_id)
        .outerjoin(run, run.c.cause_key == decision.c.cause_key)
        .where(decision.c.cause_key == key)
    ).first()
    if row is None:
        return None
    return Recorded(key, Decision(row.action, row.reason_code, row.reason), row.run_id or "", new=False)


def insert_cause(connection: Connection, received: Cause, version: str, now: datetime) -> None:
    """A cause received for the first time; `version` is what is served."""
    values = {
        "key": received.key,
        "model": received.model,
        "source": received.source,
        "reason": received.reason,
        "actor": received.actor,
        "version": version,
        "state": "resolved" if received.resolved else ANNOUNCED if received.about else "asked",
        "deliveries": 1,
        "first_seen_at": now,
        **_of_verdict(received),
    }
    connection.execute(cause.insert().values(**values))


def count_delivery(connection: Connection, received: Cause, known: Recorded) -> None:
    """A cause received again. A verdict that an alert had announced is kept now, whatever was decided meanwhile.

    Where its decision awaited it, the cause is the verdict's from here on; else it stays the alert's, which was decided about.
    """
    added = {"deliveries": cause.c.deliveries + 1}
    here = update(cause).where(cause.c.key == received.key)
    connection.execute(here.values(**added))
    if received.verdict is None:
        return
    values = _of_verdict(received)
    if known.decision.reason_code == AWAITED:
        values |= {"source": received.source, "reason": received.reason, "actor": received.actor}
    connection.execute(here.where(cause.c.state == ANNOUNCED).values(**values))


def insert_decision(
    connection: Connection, received: Cause, made: Decision, event_time: datetime, now: datetime
) -> None:
    """The decision about a cause; it takes the place of one that awaited its verdict."""
    connection.execute(
        delete(decision).where(decision.c.cause_key == received.key, decision.c.reason_code == AWAITED)
    )
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
