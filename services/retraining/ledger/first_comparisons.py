"""Comparisons of the served version with the first one in the ledger: one row per live generation that was compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Engine, RowMapping, func, select, update

from services.retraining.ledger.engine import reading, writing
from services.retraining.ledger.statements import insert_once
from services.retraining.ledger.tables import first_comparison, release
from services.retraining.watch.first_evidence import FirstEvidence
from services.retraining.watch.improvable import Improvement, KnownVersions
from shared.contracts.release import LIVE_REASONS


@dataclass(frozen=True)
class FirstComparison:
    """What was counted of a generation: rows until `rows_until` (event time). `threshold`: the evidence that is an alarm.

    `versions`: those that it is compared with; None of a row from before the former champion was one of them.
    """

    model: str
    generation: int
    rows_until: datetime
    threshold: float
    evidence: FirstEvidence = field(default_factory=FirstEvidence)
    versions: KnownVersions | None = None

    @classmethod
    def of_row(cls, row: RowMapping) -> FirstComparison:
        """From a row of the table."""
        values = {str(name): value for name, value in row.items()}
        stored = values["evidence"]
        versions = stored.get("versions")
        return cls(
            **{
                **values,
                "evidence": FirstEvidence.of_json(stored),
                "versions": None if versions is None else KnownVersions.of_json(versions),
            }
        )

    @property
    def evidence_ratio(self) -> float:
        """Logarithm of the evidence relative to that of the threshold."""
        return self.evidence.ratio(self.threshold)

    @property
    def former_ratio(self) -> float | None:
        """The same about the former champion; None without one."""
        if self.versions is None or not self.versions.former:
            return None
        return self.versions.evidence.ratio(self.threshold)

    @property
    def improvements(self) -> tuple[Improvement, ...]:
        """Known versions that are better, as far as the evidence suffices."""
        return () if self.versions is None else self.versions.improvements(self.evidence, self.threshold)


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

    def current(self) -> list[FirstComparison]:
        """Of each model the comparison of its live generation, if there is one."""
        with reading(self._engine) as connection:
            return current_comparisons(connection)

    def put(self, old: FirstComparison, new: FirstComparison) -> bool:
        """Replace `old` by `new`; False if another process has done so since `old` was read: then what it wrote counts."""
        counted = {
            "rows_until": new.rows_until,
            "threshold": new.threshold,
            "evidence": {
                **new.evidence.to_json(),
                **({} if new.versions is None else {"versions": new.versions.to_json()}),
            },
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
