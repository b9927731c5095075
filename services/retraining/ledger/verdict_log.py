"""Verdicts in the ledger, each with the decision on it."""

from __future__ import annotations

from sqlalchemy import Engine, func, select

from services.retraining.ledger.engine import reading
from services.retraining.ledger.statements import EVALUATED, is_about
from services.retraining.ledger.tables import cause, decision
from services.retraining.policy.what_if import LoggedDecision
from shared.contracts.verdict import Detector, Verdict


class VerdictLog:
    """Reads the ledger behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def decided(self, model: str, limit: int) -> list[LoggedDecision]:
        """The newest verdicts on a model with their decisions, in the order in which they arrived."""
        query = (
            select(cause.c.verdict, decision.c.action, decision.c.reason_code)
            .join(decision, decision.c.cause_key == cause.c.key)
            .where(cause.c.model == model, cause.c.source == "verdict", cause.c.window_end.is_not(None))
            .order_by(cause.c.first_seen_at.desc(), cause.c.window_end.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [
            LoggedDecision(Verdict.model_validate(row.verdict), row.action, row.reason_code)
            for row in reversed(rows)
        ]

    def newest(self, model: str, version: str) -> dict[Detector, Verdict]:
        """The newest verdict of each detector on a version."""
        found: dict[Detector, Verdict] = {}
        detectors: tuple[Detector, ...] = ("inputs", "performance", "stream")
        with reading(self._engine) as connection:
            for detector in detectors:
                query = (
                    select(cause.c.verdict)
                    .where(
                        cause.c.model == model,
                        is_about(version),
                        cause.c.verdict["detector"].as_string() == detector,
                    )
                    .order_by(cause.c.window_end.desc())
                    .limit(1)
                )
                stored = connection.execute(query).scalar()
                if stored is not None:
                    found[detector] = Verdict.model_validate(stored)
        return found

    def newest_is_faulty(self, model: str) -> bool:
        """Whether the data of the newest window is faulty, by the verdict of a scheduled detector on any version."""
        evaluated = (cause.c.model == model, EVALUATED)
        newest = select(func.max(cause.c.window_end)).where(*evaluated).scalar_subquery()
        faulty = select(cause.c.key).where(
            *evaluated, cause.c.window_end == newest, cause.c.state == "data_fault"
        )
        with reading(self._engine) as connection:
            return connection.execute(faulty.limit(1)).first() is not None
