"""What gauges show: read from the ledger whenever they are asked for, so that they are true right after a restart, too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from services.retraining.ledger.acknowledgements import NEEDS_ACKNOWLEDGEMENT
from services.retraining.ledger.tables import acknowledgement, cause, gate, outbox, project, release, run
from services.retraining.states import OPEN, State


@dataclass(frozen=True)
class OpenRun:
    """A run that has not ended."""

    model: str
    state: State
    created_at: datetime


@dataclass(frozen=True)
class LastRelease:
    """The newest entry of a model's release log, as far as the ledger has heard."""

    generation: int
    released_at: datetime


@dataclass(frozen=True)
class Figures:
    """One consistent look. `gates` holds each model's last gate result and the least gain that was wanted."""

    models: tuple[str, ...]
    open_runs: tuple[OpenRun, ...]
    unacknowledged: dict[str, int]
    releases: dict[str, LastRelease]
    gates: dict[str, tuple[dict[str, Any], float]]
    unsent: int


def figures_of(connection: Connection) -> Figures:
    """Read them."""
    models = tuple(connection.execute(select(project.c.model).order_by(project.c.model)).scalars())
    still = connection.execute(
        select(run.c.model, run.c.state, run.c.created_at).where(run.c.state.in_(OPEN))
    )
    unseen = connection.execute(
        select(cause.c.model, func.count())
        .outerjoin(run, run.c.cause_key == cause.c.key)
        .outerjoin(acknowledgement, acknowledgement.c.cause_key == cause.c.key)
        .where(NEEDS_ACKNOWLEDGEMENT, acknowledgement.c.cause_key.is_(None))
        .group_by(cause.c.model)
    )
    newest = select(release.c.model, func.max(release.c.generation).label("generation")).group_by(
        release.c.model
    )
    top = newest.subquery()
    last = connection.execute(
        select(release.c.model, release.c.generation, release.c.released_at).join(
            top, (release.c.model == top.c.model) & (release.c.generation == top.c.generation)
        )
    )
    waiting = select(func.count()).select_from(outbox).where(outbox.c.sent.is_(False))
    return Figures(
        models=models,
        open_runs=tuple(OpenRun(row.model, row.state, row.created_at) for row in still),
        unacknowledged={row[0]: int(row[1]) for row in unseen},
        releases={row.model: LastRelease(row.generation, row.released_at) for row in last},
        gates={model: found for model in models if (found := _last_gate(connection, model)) is not None},
        unsent=int(connection.execute(waiting).scalar_one()),
    )


def _last_gate(connection: Connection, model: str) -> tuple[dict[str, Any], float] | None:
    row = connection.execute(
        select(gate.c.result, run.c.loop)
        .join(run, run.c.run_id == gate.c.run_id)
        .where(run.c.model == model)
        .order_by(gate.c.judged_at.desc(), gate.c.run_id)
        .limit(1)
    ).first()
    return None if row is None else (row.result, float(row.loop["gate"]["minimum_gain"]))
