"""Comparisons of the served version with the first one in the ledger: one row per live generation that was compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Engine, RowMapping, func, select, update

from services.retraining.ledger.engine import reading, writing
from services.retraining.ledger.statements import insert_once
from services.retraining.ledger.tables import first_comparison, release
from services.retraining.watch.first_evidence import FirstEvidence
from shared.contracts.release import LIVE_REASONS


@dataclass(frozen=True)
class FirstComparison:
    """What was counted of a generation: rows until `rows_until` (event time). `threshold`: the evidence that is an alarm."""

    model: str
    generation: int
    rows_until: datetime
    threshold: float
    evidence: FirstEvidence = field(default_factory=FirstEvidence)

    @classmethod
    def of_row(cls, row: RowMapping) -> FirstComparison:
        """From a row of the table."""
        values = {str(name): value for name, value in row.items()}
        return cls(**{**values, "evidence": FirstEvidence.of_json(values["evidence"])})

    @property
    def evidence_ratio(self) -> float:
        """Logarithm of the evidence relative to that of the threshold."""
        return self.evidence.ratio(self.threshold)


class FirstComparisons:
    """Reads and writes the comparisons in the ledger behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, model: str, generation: int) -> FirstComparison | None:
        """The comparison of a generation; None if nothing was counted."""
        query = select(first_comparison).where(
            first_comparison.c.model == model, first_comparison.c.generation == generation
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else FirstComparison.of_row(row)

    def put(self, old: FirstComparison, new: FirstComparison) -> bool:
        """Replace `old` by `new`; False if another process has done so since `old` was read: then what it wrote counts."""
        counted = {
            "rows_until": new.rows_until,
            "threshold": new.threshold,
            "evidence": new.evidence.to_json(),
        }
        unchanged = update(first_comparison).where(
            first_comparison.c.model == old.model,
            first_comparison.c.generation == old.generation,
            first_comparison.c.rows_until == old.rows_until,
        )
        with writing(self._engine) as connection:
            if insert_once(
                connection, first_comparison, model=old.model, generation=old.generation, **counted
            ):
                return True
            return connection.execute(unchanged.values(**counted)).rowcount == 1


def current_comparisons(connection: Connection) -> list[FirstComparison]:
    """Of each model the comparison of its live generation, if there is one."""
    live = (
        select(release.c.model, func.max(release.c.generation).label("generation"))
        .where(release.c.reason.in_(LIVE_REASONS))
        .group_by(release.c.model)
        .subquery()
    )
    query = select(first_comparison).join(
        live,
        (first_comparison.c.model == live.c.model) & (first_comparison.c.generation == live.c.generation),
    )
    return [FirstComparison.of_row(row) for row in connection.execute(query).mappings()]
