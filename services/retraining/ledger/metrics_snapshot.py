"""Values for gauges, read from the ledger at each scrape: they are correct right after a restart, too."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from services.retraining.ledger.acknowledgements import unacknowledged_decisions
from services.retraining.ledger.first_comparisons import current_comparisons
from services.retraining.ledger.phases import Phase, last_refusals, newest_phases
from services.retraining.ledger.tables import approval, gate, outbox, project, release, run, watch
from services.retraining.ledger.watches import Watch, newest_watches
from services.retraining.run_states import OPEN, State
from shared.contracts.release import LIVE_REASONS


@dataclass(frozen=True)
class OpenRun:
    """A run that has not ended. `since`: when it was created, or last approved."""

    model: str
    state: State
    created_at: datetime
    since: datetime


@dataclass(frozen=True)
class LastRelease:
    """The newest live release of a model in the ledger."""

    generation: int
    released_at: datetime


@dataclass(frozen=True)
class MetricsSnapshot:
    """A consistent read. `gates` has each model's latest gate result and the minimum gain it required.

    `watches` has each model's newest watch, `own_rollbacks` when the loop last rolled back, `first_evidence` the evidence that
    the served version is worse than the first one, relative to its threshold, `former_evidence` the same about the former
    champion, `phases` each model's newest phase,
    `refused_phases` when a challenger was last refused in one.
    """

    models: tuple[str, ...]
    open_runs: tuple[OpenRun, ...]
    unacknowledged: dict[str, int]
    releases: dict[str, LastRelease]
    gates: dict[str, tuple[dict[str, Any], float]]
    unsent: int
    watches: dict[str, Watch] = field(default_factory=dict)
    own_rollbacks: dict[str, datetime] = field(default_factory=dict)
    first_evidence: dict[str, float] = field(default_factory=dict)
    former_evidence: dict[str, float] = field(default_factory=dict)
    phases: dict[str, Phase] = field(default_factory=dict)
    refused_phases: dict[str, datetime] = field(default_factory=dict)


def read_metrics_snapshot(connection: Connection) -> MetricsSnapshot:
    """Read all values in one transaction."""
    models = tuple(connection.execute(select(project.c.model).order_by(project.c.model)).scalars())
    answered = (
        select(approval.c.run_id, func.max(approval.c.answered_at).label("at"))
        .group_by(approval.c.run_id)
        .subquery()
    )
    open_runs = connection.execute(
        select(run.c.model, run.c.state, run.c.created_at, answered.c.at)
        .outerjoin(answered, answered.c.run_id == run.c.run_id)
        .where(run.c.state.in_(OPEN))
        .order_by(run.c.created_at, run.c.run_id)
    )
    newest = (
        select(release.c.model, func.max(release.c.generation).label("generation"))
        .where(release.c.reason.in_(LIVE_REASONS))
        .group_by(release.c.model)
    )
    top = newest.subquery()
    last = connection.execute(
        select(release.c.model, release.c.generation, release.c.released_at).join(
            top, (release.c.model == top.c.model) & (release.c.generation == top.c.generation)
        )
    )
    rolled_back = (
        select(watch.c.model, func.max(watch.c.ended_at).label("at"))
        .where(watch.c.state == "rolled_back")
        .group_by(watch.c.model)
    )
    comparisons = current_comparisons(connection)
    waiting = select(func.count()).select_from(outbox).where(outbox.c.sent.is_(False))
    return MetricsSnapshot(
        models=models,
        open_runs=tuple(
            OpenRun(row.model, row.state, row.created_at, row.at or row.created_at) for row in open_runs
        ),
        unacknowledged=dict(Counter(one.model for one in unacknowledged_decisions(connection))),
        releases={row.model: LastRelease(row.generation, row.released_at) for row in last},
        gates={model: found for model in models if (found := _last_gate(connection, model)) is not None},
        unsent=int(connection.execute(waiting).scalar_one()),
        watches={one.model: one for one in newest_watches(connection)},
        own_rollbacks={row.model: row.at for row in connection.execute(rolled_back)},
        first_evidence={one.model: one.evidence_ratio for one in comparisons},
        former_evidence={one.model: ratio for one in comparisons if (ratio := one.former_ratio) is not None},
        phases={one.model: one for one in newest_phases(connection)},
        refused_phases=last_refusals(connection),
    )


def _last_gate(connection: Connection, model: str) -> tuple[dict[str, Any], float] | None:
    row = connection.execute(
        select(gate.c.result, run.c.loop)
        .join(run, run.c.run_id == gate.c.run_id)
        .where(run.c.model == model)
        .order_by(gate.c.evaluated_at.desc(), gate.c.run_id)
        .limit(1)
    ).first()
    return None if row is None else (row.result, float(row.loop["gate"]["minimum_gain"]))
