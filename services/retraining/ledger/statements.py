"""SQL statements inside a transaction: each reads or writes rows on the caller's connection."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.retraining.cause import Cause
from services.retraining.ledger.records import Project, Run
from services.retraining.ledger.tables import budget_entry, cause, gate, outbox, run
from services.retraining.policy.decision import MAX_VERDICTS, Decision, PastRun, PastVerdict
from services.retraining.run_states import ENDS, OPEN, TRANSITIONS, State
from shared.contracts.verdict import SCHEDULED
from shared.errors import Conflict, NotFound

# Each scheduled detector covers event time without overlap. A verdict on a window that a person chose counts as a cause only.
EVALUATED = cause.c.verdict["detector"].as_string().in_(SCHEDULED)
RUNS = (
    select(
        run,
        gate.c.result,
        gate.c.digest,
        cause.c.source,
        cause.c.reason.label("cause_reason"),
        cause.c.actor.label("cause_actor"),
    )
    .join(cause, cause.c.key == run.c.cause_key)
    .outerjoin(gate, gate.c.run_id == run.c.run_id)
)


def plain(row: RowMapping) -> dict[str, Any]:
    """A dict with plain string keys: SQLAlchemy's key class is rejected by the JSON encoder."""
    return {str(name): value for name, value in row.items()}


def run_of(connection: Connection, run_id: str) -> Run:
    """A run with its gate result. Raises NotFound."""
    row = connection.execute(RUNS.where(run.c.run_id == run_id)).mappings().first()
    if row is None:
        raise NotFound(f"there is no run {run_id}", hint="GET /runs lists them")
    return Run.of_row(row)


def requester_of(connection: Connection, cause_key: str) -> str:
    """Who sent the request or alert that a run is for; empty for a cause that Homeostat found."""
    found = connection.execute(
        select(cause.c.actor).where(cause.c.key == cause_key, cause.c.source.in_(("request", "alert")))
    ).scalar()
    return str(found or "")


def runs_before(connection: Connection, model: str) -> tuple[PastRun, ...]:
    """The runs of a model as input for the policy, oldest first."""
    query = (
        select(
            run.c.run_id,
            run.c.event_time,
            run.c.state,
            budget_entry.c.state.label("charge"),
            cause.c.verdict["detector"].as_string().label("detector"),
        )
        .outerjoin(budget_entry, budget_entry.c.run_id == run.c.run_id)
        .outerjoin(cause, cause.c.key == run.c.cause_key)
        .where(run.c.model == model)
        .order_by(run.c.created_at)
    )
    return tuple(
        PastRun(
            row.run_id,
            row.event_time,
            open=row.state in OPEN,
            counts=row.charge in ("reserved", "spent"),
            suggested=row.state == "suggested",
            detector=row.detector or "",
        )
        for row in connection.execute(query)
    )


def is_about(version: str) -> ColumnElement[bool]:
    """Of causes with a verdict on this version. `cause.version` is what was served when the verdict came: a promotion may be
    between, since outcomes take their time."""
    found: ColumnElement[bool] = cause.c.verdict["version"].as_string() == version
    return found


def verdicts_before(connection: Connection, model: str, version: str) -> tuple[PastVerdict, ...]:
    """The newest verdicts about a version as input for the policy; not those on windows that a person chose."""
    query = (
        select(cause.c.window_start, cause.c.window_end, cause.c.state, cause.c.verdict)
        .where(cause.c.model == model, is_about(version), EVALUATED)
        .order_by(cause.c.window_end.desc())
        .limit(MAX_VERDICTS)
    )
    return tuple(
        PastVerdict(
            row.window_start,
            row.window_end,
            row.state,
            tuple(row.verdict["drifted"]),
            row.verdict["detector"],
        )
        for row in connection.execute(query)
    )


def insert_run(
    connection: Connection,
    run_id: str,
    received: Cause,
    made: Decision,
    champion: str,
    event_time: datetime,
    now: datetime,
    owner: Project,
) -> None:
    """Insert a run: queued, with its budget reserved, or suggested."""
    state: State = "queued" if made.action == "retrain" else "suggested"
    connection.execute(
        run.insert().values(
            run_id=run_id,
            cause_key=received.key,
            model=received.model,
            state=state,
            event_time=event_time,
            change_since=made.change_since,
            champion=champion,
            directory=owner.directory,
            loop=owner.loop.model_dump(mode="json"),
            version="",
            reason_code=made.reason_code,
            reason=made.reason,
            attempts=0,
            step_starts=0,
            seconds={},
            created_at=now,
            state_changed_at=now,
        )
    )
    if state == "queued":
        charge(connection, run_id, received.model, event_time)
    add_to_outbox(connection, "run", {"run_id": run_id, "state": state})


def charge(connection: Connection, run_id: str, model: str, event_time: datetime) -> None:
    """Reserve budget before the run starts; after a crash the reservation remains and counts."""
    connection.execute(
        budget_entry.insert().values(run_id=run_id, model=model, event_time=event_time, state="reserved")
    )


def transition_run(connection: Connection, old: Run, to: State, now: datetime, values: dict[str, Any]) -> Run:
    """Change a run's state, its timings, its budget entry and the outbox. Raises Conflict."""
    if old.state != to:
        if to not in TRANSITIONS[old.state]:
            raise Conflict(
                f"run {old.run_id} is {old.state} and cannot become {to}", hint="GET the run again"
            )
        spent = round(old.seconds.get(old.state, 0.0) + (now - old.state_changed_at).total_seconds(), 3)
        values = {"state_changed_at": now, "seconds": {**old.seconds, old.state: spent}, **values}
        if old.state != "queued":  # queued and snapshotting are one step
            values.setdefault("step_starts", 0)
        if to in ENDS:
            values["ended_at"] = now
        settle(connection, old, to, spent)
        if to == "queued":
            charge(connection, old.run_id, old.model, values["event_time"])
        add_to_outbox(connection, "run", {"run_id": old.run_id, "state": to})
    connection.execute(update(run).where(run.c.run_id == old.run_id).values(state=to, **values))
    return run_of(connection, old.run_id)


def settle(connection: Connection, old: Run, to: State, spent: float) -> None:
    """Close the run's budget entry when its training ended, or the run ended without training."""
    entry = update(budget_entry).where(budget_entry.c.run_id == old.run_id)
    if old.state == "training":
        connection.execute(entry.values(state="spent", train_seconds=spent))
    elif to in ENDS:
        # Nothing was trained: return the reservation.
        connection.execute(entry.where(budget_entry.c.state == "reserved").values(state="returned"))


def add_to_outbox(connection: Connection, kind: str, payload: dict[str, Any]) -> None:
    """Queue an entry for MLflow."""
    connection.execute(outbox.insert().values(kind=kind, payload=payload, sent=False))


def insert_once(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert unless the primary key exists; returns whether a row was inserted."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    # RETURNING instead of the row count: the Postgres driver gives no row count here.
    key = next(iter(table.primary_key.columns))
    return (
        connection.execute(make(table).values(**values).on_conflict_do_nothing().returning(key)).first()
        is not None
    )
