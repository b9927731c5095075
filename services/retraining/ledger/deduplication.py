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

ANNOUNCED = "announced"  # state of a cause that an alert brought and whose verdict was not heard


@dataclass(frozen=True)
class _Kept:
    model: str
    joinable: bool


def filed(connection: Connection, heard: Cause) -> Cause:
    """The cause under the key it is kept by.

    1. a verdict keeps its id, unless an alert of another model took that: then a key made of both, the same at every delivery
    2. an alert goes to the verdict of its model that it names, heard or not
    3. one that names anything else keeps its own key, and is marked as unclear for policy
    """
    if heard.verdict is not None:
        taken = _kept(connection, heard.key)
        return (
            heard
            if taken is None or taken.model == heard.model
            else replace(heard, key=_beside(heard, heard.key))
        )
    if not heard.about:
        return heard
    for key in (heard.about, _beside(heard, heard.about)):
        taken = _kept(connection, key)
        if taken is None:
            # Nobody has heard of the verdict yet. Beside a key that is taken, nothing waits: see 3.
            return replace(heard, key=key) if key == heard.about else replace(heard, about=UNCLEAR)
        if taken.model == heard.model and taken.joinable:
            return replace(heard, key=key)
    return replace(heard, about=UNCLEAR)


def known_cause(connection: Connection, key: str) -> Recorded | None:
    """What was decided about a cause before; None where it is new."""
    row = connection.execute(
        select(decision.c.verb, decision.c.code, decision.c.sentence, run.c.run_id)
        .outerjoin(run, run.c.cause_key == decision.c.cause_key)
        .where(decision.c.cause_key == key)
    ).first()
    if row is None:
        return None
    return Recorded(key, Decision(row.verb, row.code, row.sentence), row.run_id or "", new=False)


def insert_cause(connection: Connection, heard: Cause, version: str, now: datetime) -> None:
    """A cause heard for the first time; `version` is what is served."""
    values = {
        "key": heard.key,
        "model": heard.model,
        "source": heard.source,
        "reason": heard.reason,
        "actor": heard.actor,
        "version": version,
        "state": "resolved" if heard.resolved else ANNOUNCED if heard.about else "asked",
        "deliveries": 1,
        "first_seen_at": now,
        **_of_verdict(heard),
    }
    connection.execute(cause.insert().values(**values))


def count_delivery(connection: Connection, heard: Cause, known: Recorded) -> None:
    """A cause heard again. A verdict that an alert had announced is kept now, whatever was decided meanwhile.

    Where its decision awaited it, the cause is the verdict's from here on; else it stays the alert's, which was decided about.
    """
    added = {"deliveries": cause.c.deliveries + 1}
    here = update(cause).where(cause.c.key == heard.key)
    connection.execute(here.values(**added))
    if heard.verdict is None:
        return
    values = _of_verdict(heard)
    if known.decision.code == AWAITED:
        values |= {"source": heard.source, "reason": heard.reason, "actor": heard.actor}
    connection.execute(here.where(cause.c.state == ANNOUNCED).values(**values))


def insert_decision(
    connection: Connection, heard: Cause, made: Decision, event_time: datetime, now: datetime
) -> None:
    """The decision about a cause; it takes the place of one that awaited its verdict."""
    connection.execute(delete(decision).where(decision.c.cause_key == heard.key, decision.c.code == AWAITED))
    connection.execute(
        decision.insert().values(
            cause_key=heard.key,
            model=heard.model,
            verb=made.verb,
            code=made.code,
            sentence=made.sentence,
            event_time=event_time,
            decided_at=now,
        )
    )


def _of_verdict(heard: Cause) -> dict[str, object]:
    verdict = heard.verdict
    if verdict is None:
        return {}
    return {
        "version": verdict.version,
        "state": verdict.state,
        "window_start": verdict.window_start,
        "window_end": verdict.window_end,
        "verdict": verdict.model_dump(mode="json"),
    }


def _kept(connection: Connection, key: str) -> _Kept | None:
    row = connection.execute(select(cause.c.model, cause.c.state).where(cause.c.key == key)).first()
    return None if row is None else _Kept(row.model, row.state not in ("asked", "resolved"))


def _beside(heard: Cause, verdict_id: str) -> str:
    return external_key(heard.model, "verdict", verdict_id)
