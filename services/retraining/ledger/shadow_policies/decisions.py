"""Decisions of shadow policies in the ledger: one per cause and policy, whatever is delivered again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from services.retraining.ledger.engine import reading, writing
from services.retraining.ledger.tables import cause, shadow_decision
from services.retraining.policy.decision import Decision, PastRun

_SHOWN = 20


@dataclass(frozen=True)
class ShadowDecision:
    """What a policy decided on a cause. `policy_digest` names the policy's values: a changed policy begins anew."""

    cause_key: str
    model: str
    policy: str
    policy_digest: str
    version: str
    decision: Decision
    event_time: datetime


@dataclass(frozen=True)
class ShadowPast:
    """What a shadow policy has decided so far. `first_version`: served when it was decided on first; empty before that.

    `since`: event time of its first decision.
    """

    runs: tuple[PastRun, ...] = ()
    first_version: str = ""
    since: datetime | None = None
    decisions: int = 0


class ShadowDecisions:
    """Reads and writes them in the ledger behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def past(self, model: str, policy: str, policy_digest: str) -> ShadowPast:
        """The runs that a policy would have started, oldest first."""
        table = shadow_decision
        mine = (
            (table.c.model == model) & (table.c.policy == policy) & (table.c.policy_digest == policy_digest)
        )
        runs = (
            select(table.c.id, table.c.event_time, cause.c.verdict["detector"].as_string().label("detector"))
            .join(cause, cause.c.key == table.c.cause_key)
            .where(mine, table.c.action == "retrain")
            .order_by(table.c.id)
        )
        first = select(table.c.version, table.c.event_time).where(mine).order_by(table.c.id).limit(1)
        count = select(func.count()).select_from(table).where(mine)
        with reading(self._engine) as connection:
            begun = connection.execute(first).first()
            if begun is None:
                return ShadowPast()
            found = tuple(
                PastRun(f"{policy}-{row.id}", row.event_time, open=False, detector=row.detector or "")
                for row in connection.execute(runs)
            )
            return ShadowPast(
                found, begun.version, begun.event_time, int(connection.execute(count).scalar_one())
            )

    def record(self, made: ShadowDecision, now: datetime) -> bool:
        """Record a decision; the first one on a cause counts. Whether this one does."""
        values = {
            "cause_key": made.cause_key,
            "model": made.model,
            "policy": made.policy,
            "policy_digest": made.policy_digest,
            "version": made.version,
            "action": made.decision.action,
            "reason_code": made.decision.reason_code,
            "reason": made.decision.reason,
            "event_time": made.event_time,
            "decided_at": now,
        }
        known = select(shadow_decision.c.id).where(
            shadow_decision.c.cause_key == made.cause_key, shadow_decision.c.policy == made.policy
        )
        # Of two processes that decide on the same cause, one waits for the other here.
        with writing(self._engine) as connection:
            if connection.execute(known).first() is not None:
                return False
            connection.execute(shadow_decision.insert().values(**values))
        return True

    def newest(self, model: str, limit: int = _SHOWN) -> list[dict[str, Any]]:
        """The newest decisions of every policy of a model, newest first."""
        columns = [column for column in shadow_decision.c if column.name not in ("id", "policy_digest")]
        query = (
            select(*columns)
            .where(shadow_decision.c.model == model)
            .order_by(shadow_decision.c.id.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [
                {str(name): value for name, value in row.items()}
                for row in connection.execute(query).mappings()
            ]
