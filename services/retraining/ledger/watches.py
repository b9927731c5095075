"""Watched releases in the ledger: one row per release, which ends once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Engine, RowMapping, func, select, update

from services.retraining.ledger.engine import reading, writing
from services.retraining.ledger.statements import insert_once
from services.retraining.ledger.tables import release, watch
from services.retraining.watch.blocks import Block
from services.retraining.watch.measured_losses import MeasuredLosses
from services.retraining.watch.paired_test import ERROR
from shared.contracts.release import LIVE_REASONS
from shared.models.losses import MetricName

WatchState = Literal[
    "watching",
    "rolling_back",  # decided; the release log has no entry of it yet
    # final states
    "kept",
    "rolled_back",
    "worse",  # a person released the version, so a person decides
    "superseded",  # another release was made meanwhile
    "failed",  # decided, but the version before it cannot be released
]
WORSE_AND_LIVE: tuple[WatchState, ...] = ("worse", "failed")
OPEN_WATCHES: tuple[WatchState, ...] = ("watching", "rolling_back")


@dataclass(frozen=True)
class Watch(MeasuredLosses):
    """A release and what its watch has found. `former` was served before it, since `former_generation`.

    `rows_from` and `rows_until` are event times, None before the first row; `began_at` and `ended_at` are of the clock.
    """

    model: str
    generation: int
    version: str
    former: str
    former_generation: int
    release_reason: str
    run_id: str
    metric: MetricName
    tolerance: float
    began_at: datetime
    state: WatchState = "watching"
    reason_code: str = ""
    reason: str = ""
    rows_from: datetime | None = None
    rows_until: datetime | None = None
    blocks: tuple[Block, ...] = ()
    rollback_generation: int | None = None
    ended_at: datetime | None = None

    @classmethod
    def of_row(cls, row: RowMapping) -> Watch:
        """From a row of the table."""
        values = {str(name): value for name, value in row.items()}
        return cls(**{**values, "blocks": tuple(Block.of_json(stored) for stored in values["blocks"])})

    def to_json(self) -> dict[str, Any]:
        """For HTTP: without the blocks, with what they say."""
        shown = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "blocks"}
        loss, former_loss = self.losses or (None, None)
        return {
            **shown,
            "rows": self.rows,
            "blocks": len(self.blocks),
            "loss": loss,
            "former_loss": former_loss,
            "evidence": self.evidence.value,
            "evidence_needed": 1 / ERROR,
        }


class Watches:
    """Reads and writes the watches in the ledger behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, new: Watch) -> None:
        """Record a release as watched; a repetition changes nothing."""
        values = {column.name: getattr(new, column.name) for column in watch.c if column.name != "blocks"}
        with writing(self._engine) as connection:
            insert_once(connection, watch, **values, blocks=[])

    def find(self, model: str, generation: int) -> Watch | None:
        """The watch of a release; None if it is not watched."""
        query = select(watch).where(watch.c.model == model, watch.c.generation == generation)
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Watch.of_row(row)

    def open_of(self, model: str) -> list[Watch]:
        """Watches of a model that have not ended, oldest first."""
        query = (
            select(watch)
            .where(watch.c.model == model, watch.c.state.in_(OPEN_WATCHES))
            .order_by(watch.c.generation)
        )
        with reading(self._engine) as connection:
            return [Watch.of_row(row) for row in connection.execute(query).mappings()]

    def of_model(self, model: str) -> list[Watch]:
        """The watches of a model, oldest first."""
        query = select(watch).where(watch.c.model == model).order_by(watch.c.generation)
        with reading(self._engine) as connection:
            return [Watch.of_row(row) for row in connection.execute(query).mappings()]

    def newest(self) -> list[Watch]:
        """See `newest_watches`."""
        with reading(self._engine) as connection:
            return newest_watches(connection)

    def add_blocks(self, old: Watch, blocks: Sequence[Block]) -> Watch:
        """Add what was measured since `old` was read. If another process has added blocks meanwhile, its blocks count."""
        with writing(self._engine) as connection:
            current = _of(connection, old)
            if current.state == "watching" and current.blocks == old.blocks:
                stored = [block.to_json() for block in (*old.blocks, *blocks)]
                connection.execute(_row(old).values(blocks=stored))
            return _of(connection, old)

    def set_rows(self, old: Watch, rows_from: datetime, rows_until: datetime) -> Watch:
        """Set the range of event time; the first one counts."""
        with writing(self._engine) as connection:
            unset = _row(old).where(watch.c.rows_from.is_(None))
            connection.execute(unset.values(rows_from=rows_from, rows_until=rows_until))
            return _of(connection, old)

    def change_state(
        self, old: Watch, to: WatchState, *, reason_code: str, reason: str, now: datetime, **values: Any
    ) -> tuple[Watch, bool]:
        """Change the state, if it is still that of `old`; the watch, and whether this call has changed it."""
        values |= {"state": to, "reason_code": reason_code, "reason": reason}
        if to not in OPEN_WATCHES:
            values["ended_at"] = now
        with writing(self._engine) as connection:
            # An end is final, also for a process that read the watch before.
            unchanged = _row(old).where(watch.c.state == old.state, watch.c.state.in_(OPEN_WATCHES))
            changed = connection.execute(unchanged.values(**values)).rowcount
            return _of(connection, old), changed == 1


def newest_watches(connection: Connection) -> list[Watch]:
    """The newest watch of each model that has one, by model.

    A version that was found worse and stayed is a problem only while it is live: after a later live release it is left out.
    """
    query = select(watch).order_by(watch.c.model, watch.c.generation)
    newest = {row["model"]: row for row in connection.execute(query).mappings()}
    last = (
        select(release.c.model, func.max(release.c.generation).label("generation"))
        .where(release.c.reason.in_(LIVE_REASONS))
        .group_by(release.c.model)
    )
    live = {found.model: found.generation for found in connection.execute(last)}
    return [
        Watch.of_row(row)
        for model, row in newest.items()
        if row["state"] not in WORSE_AND_LIVE or row["generation"] >= live.get(model, 0)
    ]


def _row(of: Watch) -> Any:
    return update(watch).where(watch.c.model == of.model, watch.c.generation == of.generation)


def _of(connection: Connection, of: Watch) -> Watch:
    query = select(watch).where(watch.c.model == of.model, watch.c.generation == of.generation)
    return Watch.of_row(connection.execute(query).mappings().one())
