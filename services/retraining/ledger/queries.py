"""Read queries on the ledger. Every method is one consistent read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from services.retraining.ledger.acknowledgements import (
    ACKNOWLEDGEMENT_COLUMNS,
    ISSUE_COLUMNS,
    issues_of,
    open_causes,
    unacknowledged_groups,
    with_acknowledgement,
)
from services.retraining.ledger.engine import reading
from services.retraining.ledger.first_comparisons import FirstComparisons
from services.retraining.ledger.metrics_snapshot import MetricsSnapshot, read_metrics_snapshot
from services.retraining.ledger.phases import Phases
from services.retraining.ledger.records import Project, Run
from services.retraining.ledger.revisions import revisions_of
from services.retraining.ledger.shadow_policies.decisions import ShadowDecisions
from services.retraining.ledger.snapshots.marks import SnapshotMarks
from services.retraining.ledger.statements import (
    EVALUATED,
    RUNS,
    is_about,
    plain,
    run_of,
    runs_before,
    verdicts_before,
)
from services.retraining.ledger.tables import (
    acknowledgement,
    approval,
    cause,
    decision,
    outbox,
    project,
    project_folder,
    release,
    run,
)
from services.retraining.ledger.watches import Watches
from services.retraining.policy.decision import PastRun, PastVerdict
from services.retraining.run_states import PHASES, WORKING
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.verdict import Verdict


class LedgerQueries:
    """Reads the ledger behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def watches(self) -> Watches:
        """Watched releases."""
        return Watches(self._engine)

    @property
    def first_comparisons(self) -> FirstComparisons:
        """Comparisons of served versions with the first one."""
        return FirstComparisons(self._engine)

    @property
    def shadow_decisions(self) -> ShadowDecisions:
        """Decisions of policies that start nothing."""
        return ShadowDecisions(self._engine)

    @property
    def snapshot_marks(self) -> SnapshotMarks:
        """How far streams were stored when snapshots were taken."""
        return SnapshotMarks(self._engine)

    @property
    def phases(self) -> Phases:
        """Challengers that are tried in a slot."""
        return Phases(self._engine)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def project(self, model: str) -> Project | None:
        """The project of a model; None if it was never deployed."""
        with reading(self._engine) as connection:
            row = connection.execute(select(project).where(project.c.model == model)).mappings().first()
        if row is None:
            return None
        return Project(row["model"], row["directory"], LoopSpec.model_validate(row["loop"]), row["version"])

    def project_folders(self, model: str) -> list[dict[str, Any]]:
        """Who set a model's project folder, oldest first."""
        changes = (
            select(
                project_folder.c.directory,
                project_folder.c.before,
                project_folder.c.actor,
                project_folder.c.changed_at,
            )
            .where(project_folder.c.model == model)
            .order_by(project_folder.c.id)
        )
        with reading(self._engine) as connection:
            return [plain(row) for row in connection.execute(changes).mappings()]

    def models(self) -> list[str]:
        """Models with a project, by name."""
        with reading(self._engine) as connection:
            return list(connection.execute(select(project.c.model).order_by(project.c.model)).scalars())

    def decisions(self, model: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Decisions, newest first, each with its cause, its run and its issue."""
        query = (
            select(
                *ISSUE_COLUMNS,
                decision.c.action,
                decision.c.reason,
                decision.c.event_time,
                decision.c.decided_at,
                cause.c.source,
                cause.c.reason.label("cause_reason"),
                cause.c.actor,
                cause.c.window_start,
                cause.c.window_end,
                cause.c.deliveries,
                func.coalesce(run.c.run_id, "").label("run_id"),
                *ACKNOWLEDGEMENT_COLUMNS,
            )
            .join(cause, cause.c.key == decision.c.cause_key)
            .outerjoin(run, run.c.cause_key == decision.c.cause_key)
            .outerjoin(acknowledgement, acknowledgement.c.cause_key == decision.c.cause_key)
            .order_by(decision.c.id.desc())
            .limit(limit)
        )
        if model:
            query = query.where(decision.c.model == model)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
            return [
                with_acknowledgement(row) | {"needs_acknowledgement": issue is not None, "issue": issue or ""}
                for row, issue in zip(rows, issues_of(connection, rows), strict=True)
            ]

    def unacknowledged(self, model: str = "") -> list[dict[str, Any]]:
        """Unacknowledged decisions with an issue, grouped by model and issue, newest group first."""
        with reading(self._engine) as connection:
            return unacknowledged_groups(connection, model)

    def open_causes(self) -> list[str]:
        """Causes that a person has still to decide on."""
        with reading(self._engine) as connection:
            return open_causes(connection)

    def cause(self, key: str) -> dict[str, Any] | None:
        """A cause and the decision about it, as `cause` and `decision`; None if there is no such cause."""
        decided = (
            select(
                decision.c.action,
                decision.c.reason_code,
                decision.c.reason,
                decision.c.event_time,
                *ACKNOWLEDGEMENT_COLUMNS,
            )
            .outerjoin(acknowledgement, acknowledgement.c.cause_key == decision.c.cause_key)
            .where(decision.c.cause_key == key)
        )
        with reading(self._engine) as connection:
            found = connection.execute(select(cause).where(cause.c.key == key)).mappings().first()
            row = connection.execute(decided).mappings().first()
            revisions = revisions_of(connection, key)
        if found is None or row is None:
            return None
        return {"decision": with_acknowledgement(row), "cause": {**plain(found), "revisions": revisions}}

    def event_time(self, model: str) -> datetime | None:
        """The latest event time that a verdict in the ledger has for a model."""
        with reading(self._engine) as connection:
            found: datetime | None = connection.execute(
                select(cause.c.window_end)
                .where(cause.c.model == model, cause.c.window_end.is_not(None))
                .order_by(cause.c.window_end.desc())
                .limit(1)
            ).scalar()
        return found

    def first_window(self, model: str, version: str) -> datetime | None:
        """The start of the first window a version was evaluated on."""
        with reading(self._engine) as connection:
            found: datetime | None = connection.execute(
                select(cause.c.window_start)
                .where(cause.c.model == model, is_about(version), cause.c.window_start.is_not(None))
                .order_by(cause.c.window_start)
                .limit(1)
            ).scalar()
        return found

    def faulty_windows(self, model: str) -> list[tuple[datetime, datetime]]:
        """Windows with verdict data_fault; not those a person requested, which may contain weeks of good data."""
        query = select(cause.c.window_start, cause.c.window_end).where(
            cause.c.model == model,
            cause.c.state == "data_fault",
            cause.c.window_start.is_not(None),
            cause.c.verdict["detector"].as_string() != "request",
        )
        with reading(self._engine) as connection:
            return [
                (row.window_start, row.window_end)
                for row in connection.execute(query.distinct().order_by(cause.c.window_start))
            ]

    def latest_verdict_with_loss(self, model: str) -> Verdict | None:
        """The newest scheduled verdict with a realised loss; None if there is none."""
        query = (
            select(cause.c.verdict)
            .where(cause.c.model == model, EVALUATED, cause.c.verdict["loss"].as_float().is_not(None))
            .order_by(cause.c.window_end.desc())
            .limit(1)
        )
        with reading(self._engine) as connection:
            found = connection.execute(query).scalar()
        return None if found is None else Verdict.model_validate(found)

    def metrics_snapshot(self) -> MetricsSnapshot:
        """Values for the gauges."""
        with reading(self._engine) as connection:
            return read_metrics_snapshot(connection)

    def run(self, run_id: str) -> Run:
        """A run with its gate result. Raises NotFound."""
        with reading(self._engine) as connection:
            return run_of(connection, run_id)

    def runs(self, model: str = "", states: Sequence[str] = (), limit: int = 100) -> list[Run]:
        """Runs, newest first."""
        query = RUNS.order_by(run.c.created_at.desc(), run.c.run_id).limit(limit)
        if model:
            query = query.where(run.c.model == model)
        if states:
            query = query.where(run.c.state.in_(states))
        with reading(self._engine) as connection:
            return [Run.of_row(row) for row in connection.execute(query).mappings()]

    def working_runs(self) -> list[str]:
        """Ids of runs that need a step, oldest first."""
        query = select(run.c.run_id).where(run.c.state.in_(WORKING)).order_by(run.c.created_at, run.c.run_id)
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def runs_in_phases(self) -> list[str]:
        """Ids of runs whose challenger is tried in a slot, oldest first."""
        query = select(run.c.run_id).where(run.c.state.in_(PHASES)).order_by(run.c.created_at, run.c.run_id)
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def runs_of_version(self, version: str) -> list[Run]:
        """Runs that produced a version (identical bytes are the same version), oldest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                RUNS.where(run.c.version == version).order_by(run.c.created_at)
            ).mappings()
            return [Run.of_row(row) for row in rows]

    def answers(self, run_id: str) -> list[dict[str, Any]]:
        """Approvals and rejections of a run, oldest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(approval).where(approval.c.run_id == run_id).order_by(approval.c.id)
            ).mappings()
            return [plain(row) for row in rows]

    def answers_of(self, run_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Approvals and rejections of several runs by run, oldest first; a run without any is left out."""
        found: dict[str, list[dict[str, Any]]] = {}
        query = select(approval).where(approval.c.run_id.in_(run_ids)).order_by(approval.c.id)
        with reading(self._engine) as connection:
            for row in connection.execute(query).mappings():
                found.setdefault(str(row["run_id"]), []).append(plain(row))
        return found

    def past(self, model: str, version: str = "") -> tuple[tuple[PastRun, ...], tuple[PastVerdict, ...]]:
        """The runs of a model and the verdicts about a version, as input for the policy."""
        with reading(self._engine) as connection:
            return runs_before(connection, model), verdicts_before(connection, model, version)

    def releases_of_version(self, version: str) -> list[dict[str, Any]]:
        """Releases of a version, oldest first."""
        query = (
            select(release)
            .where(release.c.version == version)
            .order_by(release.c.released_at, release.c.generation)
        )
        with reading(self._engine) as connection:
            return [plain(row) for row in connection.execute(query).mappings()]

    def unsent(self, limit: int = 50) -> list[dict[str, Any]]:
        """Outbox entries not yet sent to MLflow, oldest first."""
        with reading(self._engine) as connection:
            query = select(outbox).where(outbox.c.sent.is_(False)).order_by(outbox.c.id).limit(limit)
            return [plain(row) for row in connection.execute(query).mappings()]

    def unsent_count(self) -> int:
        """Number of outbox entries not yet sent to MLflow."""
        query = select(func.count()).select_from(outbox).where(outbox.c.sent.is_(False))
        with reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())
