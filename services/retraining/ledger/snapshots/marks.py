"""How far each stream of rows was stored when the snapshot of a run was taken."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, delete, select

from services.retraining.ledger.engine import reading, writing
from services.retraining.ledger.tables import snapshot_marks


class SnapshotMarks:
    """Reads and writes the marks in the ledger behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, run_id: str, marks: dict[str, Any]) -> None:
        """Record the marks of a run's pin; a snapshot that is pinned anew has new ones."""
        with writing(self._engine) as connection:
            connection.execute(delete(snapshot_marks).where(snapshot_marks.c.run_id == run_id))
            connection.execute(snapshot_marks.insert().values(run_id=run_id, marks=marks))

    def find(self, run_id: str) -> dict[str, Any] | None:
        """The marks of a run; None if its snapshot was taken by a release without them."""
        query = select(snapshot_marks.c.marks).where(snapshot_marks.c.run_id == run_id)
        with reading(self._engine) as connection:
            found: dict[str, Any] | None = connection.execute(query).scalar()
        return found
