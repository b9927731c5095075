"""Revisions of a verdict: the latest one is the cause's; each is recorded, and at most one action follows from all of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from services.retraining.cause import Cause
from services.retraining.ledger.records import Recorded
from services.retraining.ledger.tables import cause, revision


def record_revision(connection: Connection, received: Cause, known: Recorded, now: datetime) -> bool:
    """Store a verdict that is a later revision of a known cause's; whether the policy decides again.

    1. an earlier or the same revision is a repeated delivery   2. the cause gets the new verdict   3. the revision is recorded
    Only a verdict that became `drift`, of which nothing was started, is decided again: a verdict that became `ok` starts nothing.
    """
    verdict = received.verdict
    stored = connection.execute(
        select(cause.c.verdict, cause.c.state).where(cause.c.key == received.key)
    ).one()
    if (
        verdict is None
        or stored.verdict is None
        or verdict.revision <= int(stored.verdict.get("revision", 1))
    ):
        return False
    connection.execute(
        update(cause)
        .where(cause.c.key == received.key)
        .values(
            state=verdict.state,
            reason=received.reason,
            window_start=verdict.window_start,
            window_end=verdict.window_end,
            verdict=verdict.model_dump(mode="json"),
        )
    )
    connection.execute(
        insert(revision).values(
            cause_key=received.key,
            revision=verdict.revision,
            state=verdict.state,
            state_before=stored.state,
            reason=received.reason,
            decision_before=known.decision.reason_code,
            received_at=now,
        )
    )
    return verdict.state == "drift" and stored.state != "drift" and known.decision.action == "wait"


def revisions_of(connection: Connection, cause_key: str) -> list[dict[str, Any]]:
    """The revisions of a cause's verdict that were received, oldest first."""
    rows = connection.execute(
        select(revision).where(revision.c.cause_key == cause_key).order_by(revision.c.revision)
    ).mappings()
    return [_plain(row) for row in rows]


def _plain(row: RowMapping) -> dict[str, Any]:
    return {str(name): value for name, value in row.items() if name != "cause_key"}
