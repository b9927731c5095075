"""Which decisions wait for a person to have seen them, and who has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping, func, or_

from services.retraining.ledger.rows import plain
from services.retraining.ledger.tables import acknowledgement, cause, run

# Verdicts of drift and fault, and runs that came to nothing. A query that asks must join `run` and `cause`.
NEEDS_ACKNOWLEDGEMENT = or_(
    cause.c.state.in_(("drift", "fault")), func.coalesce(run.c.state, "").in_(("failed", "refused"))
)
ACKNOWLEDGED = (
    acknowledgement.c.actor.label("acknowledged_by"),
    acknowledgement.c.note.label("acknowledged_note"),
    acknowledgement.c.acknowledged_at,
)


def with_acknowledgement(row: RowMapping) -> dict[str, Any]:
    """The row, with ACKNOWLEDGED's columns as one entry `acknowledged`; None where nobody has."""
    told = plain(row)
    actor, note, moment = (
        told.pop(name) for name in ("acknowledged_by", "acknowledged_note", "acknowledged_at")
    )
    if "needs_acknowledgement" in told:
        told["needs_acknowledgement"] = bool(told["needs_acknowledgement"])
    return {**told, "acknowledged": None if actor is None else {"actor": actor, "note": note, "at": moment}}
