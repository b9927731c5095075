"""Phases of runs in the ledger: a challenger beside the live version, what was measured of it, and how the phase ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Engine, RowMapping, func, select, update

from services.retraining.ledger.engine import reading, writing
from services.retraining.ledger.statements import insert_once
from services.retraining.ledger.tables import phase
from services.retraining.watch.blocks import Block
from services.retraining.watch.measured_losses import MeasuredLosses
from services.retraining.watch.operational_guard import Guard
from services.retraining.watch.paired_test import ERROR
from services.retraining.watch.slot_test import ERROR as OPERATIONAL_ERROR
from shared.models.losses import MetricName

PhaseSlot = Literal["shadow", "canary"]
Outcome = Literal[
    "",  # it goes on
    "passed",  # its time is over: the next phase, or the promotion
    "operational",  # the challenger fails, or is slow, more often than the live version; or it could not be served
    "worse",  # its loss is higher on the same rows
    "withdrawn",  # a person ended the slot
    "champion_changed",  # another version became live
    "slot_taken",  # a person served a version there when it was to begin
]
REFUSING: tuple[Outcome, ...] = ("operational", "worse")


@dataclass(frozen=True)
class Phase(MeasuredLosses):
    """`rows_from` and `rows_until` are event times, None before the model has rows; `began_at` and `ended_at` are of the clock.

    `looks` counts the changes of `guard` and `blocks`, so that of two processes only one adds to them.
    """

    run_id: str
    slot: PhaseSlot
    model: str
    version: str
    champion: str
    metric: MetricName
    tolerance: float
    began_at: datetime
    rows_from: datetime | None = None
    rows_until: datetime | None = None
    blocks: tuple[Block, ...] = ()
    guard: Guard = field(default_factory=Guard)
    looks: int = 0
    outcome: Outcome = ""
    reason: str = ""
    ended_at: datetime | None = None

    @classmethod
    def of_row(cls, row: RowMapping) -> Phase:
        """From a row of the table."""
        values = {str(name): value for name, value in row.items()}
        blocks = tuple(Block.of_json(stored) for stored in values["blocks"])
        return cls(**{**values, "blocks": blocks, "guard": Guard.of_json(values["guard"])})

    def to_json(self) -> dict[str, Any]:
        """For HTTP: without blocks and counters, with what they say."""
        left_out = ("blocks", "guard", "looks")
        shown = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in left_out}
        loss, live_loss = self.losses or (None, None)
        return {
            **shown,
            "rows": self.rows,
            "blocks": len(self.blocks),
            "loss": loss,
            "live_loss": live_loss,
            "evidence": self.evidence.value,
            "evidence_needed": 1 / ERROR,
            "operational_evidence": self.guard.evidence,
            "operational_evidence_needed": 1 / OPERATIONAL_ERROR,
        }


class Phases:
    """Reads and writes the phases in the ledger behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, new: Phase) -> Phase:
        """Record a phase; a repetition changes nothing. The stored phase."""
        plain = ("blocks", "guard")
        values = {column.name: getattr(new, column.name) for column in phase.c if column.name not in plain}
        with writing(self._engine) as connection:
            insert_once(connection, phase, **values, blocks=[], guard=new.guard.to_json())
            return _of(connection, new)

    def find(self, run_id: str, slot: PhaseSlot) -> Phase | None:
        """The phase of a run in a slot; None if it has not begun."""
        query = select(phase).where(phase.c.run_id == run_id, phase.c.slot == slot)
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Phase.of_row(row)

    def of_run(self, run_id: str) -> list[Phase]:
        """The phases of a run, in order."""
        query = select(phase).where(phase.c.run_id == run_id).order_by(phase.c.began_at)
        with reading(self._engine) as connection:
            return [Phase.of_row(row) for row in connection.execute(query).mappings()]

    def newest(self) -> list[Phase]:
        """See `newest_phases`."""
        with reading(self._engine) as connection:
            return newest_phases(connection)

    def add_guard(self, old: Phase, guard: Guard) -> Phase:
        """Store what was counted since `old` was read, unless another process has stored something meanwhile."""
        return self._add(old, guard=guard.to_json())

    def add_blocks(self, old: Phase, blocks: Sequence[Block]) -> Phase:
        """Add blocks. If another process has added blocks meanwhile, its blocks count."""
        with writing(self._engine) as connection:
            current = _of(connection, old)
            if current.blocks == old.blocks:
                stored = [block.to_json() for block in (*old.blocks, *blocks)]
                connection.execute(_open(old).values(blocks=stored))
            return _of(connection, old)

    def set_rows(self, old: Phase, rows_from: datetime, rows_until: datetime) -> Phase:
        """Set the range of event time; the first one counts."""
        with writing(self._engine) as connection:
            unset = _open(old).where(phase.c.rows_from.is_(None))
            connection.execute(unset.values(rows_from=rows_from, rows_until=rows_until))
            return _of(connection, old)

    def decide(self, old: Phase, outcome: Outcome, reason: str, now: datetime) -> tuple[Phase, bool]:
        """End the phase, if it has not ended; the phase with its one outcome, and whether this call decided it."""
        with writing(self._engine) as connection:
            done = connection.execute(
                _open(old).values(outcome=outcome, reason=reason, ended_at=now)
            ).rowcount
            return _of(connection, old), done == 1

    def _add(self, old: Phase, **values: Any) -> Phase:
        with writing(self._engine) as connection:
            unchanged = _open(old).where(phase.c.looks == old.looks)
            connection.execute(unchanged.values(looks=old.looks + 1, **values))
            return _of(connection, old)


def newest_phases(connection: Connection) -> list[Phase]:
    """The newest phase of each model that had one, by model."""
    newest = select(phase.c.model, func.max(phase.c.began_at).label("at")).group_by(phase.c.model).subquery()
    query = (
        select(phase)
        .join(newest, (phase.c.model == newest.c.model) & (phase.c.began_at == newest.c.at))
        .order_by(phase.c.model)
    )
    return [Phase.of_row(row) for row in connection.execute(query).mappings()]


def last_refusals(connection: Connection) -> dict[str, datetime]:
    """When a challenger of each model was last refused in a phase."""
    query = (
        select(phase.c.model, func.max(phase.c.ended_at).label("at"))
        .where(phase.c.outcome.in_(REFUSING))
        .group_by(phase.c.model)
    )
    return {row.model: row.at for row in connection.execute(query)}


def _open(of: Phase) -> Any:
    return update(phase).where(phase.c.run_id == of.run_id, phase.c.slot == of.slot, phase.c.outcome == "")


def _of(connection: Connection, of: Phase) -> Phase:
    query = select(phase).where(phase.c.run_id == of.run_id, phase.c.slot == of.slot)
    return Phase.of_row(connection.execute(query).mappings().one())
