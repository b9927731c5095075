"""The ledger's verbs. Every method is one transaction; what must be true together is written together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Table, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.retraining.causes import Cause
from services.retraining.ledger.engine import reading, writing
from services.retraining.ledger.records import Project, Recorded, Run
from services.retraining.ledger.tables import (
    approval,
    budget_entry,
    cause,
    decision,
    gate,
    outbox,
    project,
    release,
    run,
)
from services.retraining.policy.decision import Decision, PastRun, PastVerdict
from services.retraining.states import ENDS, MOVES, OPEN, WAITING, WORKING, State
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.release import Release
from shared.errors import Conflict, UnknownName

_VERDICTS_KEPT_IN_MIND = 64

Decide = Callable[[tuple[PastRun, ...], tuple[PastVerdict, ...]], Decision]


def run_id_of(cause_key: str) -> str:
    """The id of the one run a cause may have: also the name of its durable workflow and of its folder."""
    return f"run-{cause_key}"


class Ledger:
    """Reads and writes the ledger behind `engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    # Projects

    def record_project(
        self, model: str, directory: str, loop: LoopSpec, version: str, actor: str, now: datetime
    ) -> None:
        """Remember where a model is trained and by which specification its loop acts."""
        values = {
            "directory": directory,
            "loop": loop.model_dump(mode="json"),
            "version": version,
            "actor": actor,
            "recorded_at": now,
        }
        with writing(self._engine) as connection:
            changed = connection.execute(update(project).where(project.c.model == model).values(**values))
            if changed.rowcount == 0:
                connection.execute(project.insert().values(model=model, **values))

    def project(self, model: str) -> Project | None:
        """The project of a model; None where it was never deployed."""
        with reading(self._engine) as connection:
            row = connection.execute(select(project).where(project.c.model == model)).mappings().first()
        if row is None:
            return None
        return Project(row["model"], row["directory"], LoopSpec.model_validate(row["loop"]), row["version"])

    def models(self) -> list[str]:
        """Models with a project, by name."""
        with reading(self._engine) as connection:
            return list(connection.execute(select(project.c.model).order_by(project.c.model)).scalars())

    # Causes and decisions

    def record_cause(
        self,
        heard: Cause,
        *,
        version: str,
        event_time: datetime,
        now: datetime,
        owner: Project | None,
        decide: Decide,
    ) -> Recorded:
        """Decide about a cause, once: cause, decision, run and budget entry are written together or not at all.

        1. a cause known before: count the delivery, give the answer of then
        2. read the past of the model, ask `decide` (pure; it may be asked again if the transaction fails)
        3. write cause and decision; for retrain and suggest also the run, charged to the budget
        """
        with writing(self._engine) as connection:
            known = _known(connection, heard.key)
            if known is not None:
                connection.execute(
                    update(cause).where(cause.c.key == heard.key).values(deliveries=cause.c.deliveries + 1)
                )
                return known
            made = decide(
                _past_runs(connection, heard.model), _past_verdicts(connection, heard.model, version)
            )
            verdict = heard.verdict
            connection.execute(
                cause.insert().values(
                    key=heard.key,
                    model=heard.model,
                    source=heard.source,
                    reason=heard.reason,
                    actor=heard.actor,
                    version=verdict.version if verdict else version,
                    state=verdict.state if verdict else ("resolved" if heard.resolved else "asked"),
                    window_start=verdict.window_start if verdict else None,
                    window_end=verdict.window_end if verdict else None,
                    verdict=verdict.model_dump(mode="json") if verdict else None,
                    deliveries=1,
                    first_seen_at=now,
                )
            )
            connection.execute(
                decision.insert().values(
                    cause_key=heard.key,
                    model=heard.model,
                    verb=made.verb,
                    code=made.code,
                    sentence=made.sentence,
                    event_time=event_time,
                    decided_at=now,
                )
            )
            run_id = ""
            if made.verb != "wait" and owner is not None:
                run_id = run_id_of(heard.key)
                _insert_run(connection, run_id, heard, made, version, event_time, now, owner)
            return Recorded(heard.key, made, run_id, new=True)

    def decisions(self, model: str = "", limit: int = 100) -> list[dict[str, Any]]:
        """Decisions, newest first, each with its cause and the run it led to."""
        query = (
            select(
                decision,
                cause.c.source,
                cause.c.reason,
                cause.c.actor,
                cause.c.state.label("cause_state"),
                cause.c.window_start,
                cause.c.window_end,
                cause.c.deliveries,
                func.coalesce(run.c.run_id, "").label("run_id"),
            )
            .join(cause, cause.c.key == decision.c.cause_key)
            .outerjoin(run, run.c.cause_key == decision.c.cause_key)
            .order_by(decision.c.id.desc())
            .limit(limit)
        )
        if model:
            query = query.where(decision.c.model == model)
        with reading(self._engine) as connection:
            return [_plain(row) for row in connection.execute(query).mappings()]

    def cause(self, key: str) -> dict[str, Any] | None:
        """A cause with its decision; None where it is not known."""
        query = (
            select(cause, decision.c.verb, decision.c.code, decision.c.sentence, decision.c.event_time)
            .join(decision, decision.c.cause_key == cause.c.key)
            .where(cause.c.key == key)
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        return _plain(row) if row is not None else None

    def event_time(self, model: str) -> datetime | None:
        """The latest event time the ledger has heard of for a model."""
        with reading(self._engine) as connection:
            moment: datetime | None = connection.execute(
                select(cause.c.window_end)
                .where(cause.c.model == model, cause.c.window_end.is_not(None))
                .order_by(cause.c.window_end.desc())
                .limit(1)
            ).scalar()
        return moment

    def first_window(self, model: str, version: str) -> datetime | None:
        """The start of the first window a version was examined on."""
        with reading(self._engine) as connection:
            moment: datetime | None = connection.execute(
                select(cause.c.window_start)
                .where(cause.c.model == model, cause.c.version == version, cause.c.window_start.is_not(None))
                .order_by(cause.c.window_start)
                .limit(1)
            ).scalar()
        return moment

    def faulty_windows(self, model: str) -> list[tuple[datetime, datetime]]:
        """Stretches of event time whose data drift found faulty."""
        query = select(cause.c.window_start, cause.c.window_end).where(
            cause.c.model == model, cause.c.state == "fault", cause.c.window_start.is_not(None)
        )
        with reading(self._engine) as connection:
            return [
                (row.window_start, row.window_end)
                for row in connection.execute(query.order_by(cause.c.window_start))
            ]

    # Runs

    def run(self, run_id: str) -> Run:
        """A run with its gate's result. Raises UnknownName."""
        with reading(self._engine) as connection:
            return _run(connection, run_id)

    def runs(self, model: str = "", states: Sequence[str] = (), limit: int = 100) -> list[Run]:
        """Runs, newest first."""
        query = _RUNS.order_by(run.c.created_at.desc(), run.c.run_id).limit(limit)
        if model:
            query = query.where(run.c.model == model)
        if states:
            query = query.where(run.c.state.in_(states))
        with reading(self._engine) as connection:
            return [Run.of_row(row) for row in connection.execute(query).mappings()]

    def working_runs(self) -> list[str]:
        """Ids of runs that somebody must drive, oldest first."""
        query = select(run.c.run_id).where(run.c.state.in_(WORKING)).order_by(run.c.created_at, run.c.run_id)
        with reading(self._engine) as connection:
            return list(connection.execute(query).scalars())

    def runs_of_version(self, version: str) -> list[Run]:
        """Runs that made a version (the same bytes made twice are the same version), oldest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                _RUNS.where(run.c.version == version).order_by(run.c.created_at)
            ).mappings()
            return [Run.of_row(row) for row in rows]

    def move(self, run_id: str, to: State, now: datetime, **values: Any) -> Run:
        """Take a run to another state; to the state it is in already is a repeat and only writes `values`.

        Raises Conflict where the run's state does not allow the move, UnknownName where there is no such run.
        """
        with writing(self._engine) as connection:
            return _move(connection, _run(connection, run_id), to, now, values)

    def record_gate(
        self, run_id: str, *, passed: bool, digest: str, result: dict[str, Any], now: datetime
    ) -> None:
        """Keep what the gate measured; the first record stays."""
        with writing(self._engine) as connection:
            _insert_once(
                connection, gate, run_id=run_id, passed=passed, digest=digest, result=result, judged_at=now
            )

    def answer(
        self,
        run_id: str,
        *,
        answer: str,
        actor: str,
        now: datetime,
        event_time: datetime | None = None,
        objection: Callable[[tuple[PastRun, ...]], str] = lambda _: "",
    ) -> Run:
        """A person's yes or no to a run that waits for one; bound to the gate result that was shown.

        The answer, the move and the charge are one transaction. `objection` (pure) sees the other runs and may forbid a start.
        Answering the same again changes nothing. Raises Conflict where the run does not wait, or where `objection` speaks.
        """
        with writing(self._engine) as connection:
            old = _run(connection, run_id)
            if old.state not in WAITING:
                last = connection.execute(
                    _ANSWERS.where(approval.c.run_id == run_id).order_by(approval.c.id.desc())
                ).first()
                if last is not None and last.answer == answer:
                    return old
                raise Conflict(
                    f"run {run_id} is {old.state}; only a run that waits can be answered",
                    remedy="GET /runs lists them",
                )
            starts = old.state == "suggested"
            if starts and answer == "yes":
                others = tuple(past for past in _past_runs(connection, old.model) if past.run_id != run_id)
                if reason := objection(others):
                    raise Conflict(
                        f"run {run_id} cannot start: {reason}",
                        remedy="try again later, or raise retraining.budget",
                    )
            values = {
                "run_id": run_id,
                "answer": answer,
                "actor": actor,
                "about": "start" if starts else "promotion",
                "gate_digest": old.gate_digest,
                "answered_at": now,
            }
            connection.execute(approval.insert().values(**values))
            if answer == "no":
                return _move(
                    connection, old, "rejected", now, {"code": "rejected", "message": f"{actor} said no"}
                )
            if starts:
                return _move(connection, old, "queued", now, {"event_time": event_time or old.event_time})
            return _move(connection, old, "promoting", now, {})

    def answers(self, run_id: str) -> list[dict[str, Any]]:
        """What people said about a run, oldest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(approval).where(approval.c.run_id == run_id).order_by(approval.c.id)
            ).mappings()
            return [_plain(row) for row in rows]

    def past_runs(self, model: str) -> tuple[PastRun, ...]:
        """The runs of a model as policy sees them."""
        with reading(self._engine) as connection:
            return _past_runs(connection, model)

    # Releases

    def record_release(self, done: Release) -> None:
        """Mirror an entry of the release log; a repeat changes nothing."""
        with writing(self._engine) as connection:
            fresh = _insert_once(
                connection,
                release,
                model=done.model,
                generation=done.generation,
                version=done.version,
                reason=done.reason,
                actor=done.actor,
                run_id=done.run_id,
                released_at=done.released_at,
            )
            if fresh:
                _tell(connection, "release", done.model_dump(mode="json"))

    def releases_of_version(self, version: str) -> list[dict[str, Any]]:
        """Releases that put a version into service, oldest first."""
        query = (
            select(release)
            .where(release.c.version == version)
            .order_by(release.c.released_at, release.c.generation)
        )
        with reading(self._engine) as connection:
            return [_plain(row) for row in connection.execute(query).mappings()]

    # The outbox

    def unsent(self, limit: int = 50) -> list[dict[str, Any]]:
        """What the mirror has not been told yet, oldest first."""
        with reading(self._engine) as connection:
            query = select(outbox).where(outbox.c.sent.is_(False)).order_by(outbox.c.id).limit(limit)
            return [_plain(row) for row in connection.execute(query).mappings()]

    def mark_sent(self, ids: Sequence[int]) -> None:
        """The mirror has it."""
        with writing(self._engine) as connection:
            connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(sent=True))

    def unsent_count(self) -> int:
        """How far the mirror lags, in entries."""
        with reading(self._engine) as connection:
            return int(
                connection.execute(
                    select(func.count()).select_from(outbox).where(outbox.c.sent.is_(False))
                ).scalar_one()
            )


_ANSWERS = select(approval.c.answer)
_RUNS = select(run, gate.c.result, gate.c.digest).outerjoin(gate, gate.c.run_id == run.c.run_id)


def _plain(row: RowMapping) -> dict[str, Any]:
    """A mapping whose keys are plain strings: SQLAlchemy's own are a subclass that JSON writers refuse."""
    return {str(name): value for name, value in row.items()}


def _known(connection: Connection, key: str) -> Recorded | None:
    row = connection.execute(
        select(decision.c.verb, decision.c.code, decision.c.sentence, run.c.run_id)
        .outerjoin(run, run.c.cause_key == decision.c.cause_key)
        .where(decision.c.cause_key == key)
    ).first()
    if row is None:
        return None
    return Recorded(key, Decision(row.verb, row.code, row.sentence), row.run_id or "", new=False)


def _run(connection: Connection, run_id: str) -> Run:
    row = connection.execute(_RUNS.where(run.c.run_id == run_id)).mappings().first()
    if row is None:
        raise UnknownName(f"there is no run {run_id}", remedy="GET /runs lists them")
    return Run.of_row(row)


def _past_runs(connection: Connection, model: str) -> tuple[PastRun, ...]:
    query = (
        select(run.c.run_id, run.c.event_time, run.c.state, budget_entry.c.state.label("charge"))
        .outerjoin(budget_entry, budget_entry.c.run_id == run.c.run_id)
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
        )
        for row in connection.execute(query)
    )


def _past_verdicts(connection: Connection, model: str, version: str) -> tuple[PastVerdict, ...]:
    query = (
        select(cause.c.window_start, cause.c.window_end, cause.c.state, cause.c.verdict)
        .where(cause.c.model == model, cause.c.version == version, cause.c.source == "verdict")
        .order_by(cause.c.window_end.desc())
        .limit(_VERDICTS_KEPT_IN_MIND)
    )
    return tuple(
        PastVerdict(row.window_start, row.window_end, row.state, tuple(row.verdict["drifted"]))
        for row in connection.execute(query)
    )


def _insert_run(
    connection: Connection,
    run_id: str,
    heard: Cause,
    made: Decision,
    champion: str,
    event_time: datetime,
    now: datetime,
    owner: Project,
) -> None:
    state: State = "queued" if made.verb == "retrain" else "suggested"
    connection.execute(
        run.insert().values(
            run_id=run_id,
            cause_key=heard.key,
            model=heard.model,
            state=state,
            event_time=event_time,
            change_since=made.change_since,
            champion=champion,
            directory=owner.directory,
            loop=owner.loop.model_dump(mode="json"),
            version="",
            code=made.code,
            message=made.sentence,
            attempts=0,
            seconds={},
            created_at=now,
            moved_at=now,
        )
    )
    if state == "queued":
        _charge(connection, run_id, heard.model, event_time)
    _tell(connection, "run", {"run_id": run_id, "state": state})


def _charge(connection: Connection, run_id: str, model: str, event_time: datetime) -> None:
    """Reserve before anything is done; a crash leaves the reservation, which counts."""
    connection.execute(
        budget_entry.insert().values(run_id=run_id, model=model, event_time=event_time, state="reserved")
    )


def _move(connection: Connection, old: Run, to: State, now: datetime, values: dict[str, Any]) -> Run:
    if old.state != to:
        if to not in MOVES[old.state]:
            raise Conflict(
                f"run {old.run_id} is {old.state} and cannot become {to}", remedy="look at the run again"
            )
        spent = round(old.seconds.get(old.state, 0.0) + (now - old.moved_at).total_seconds(), 3)
        values = {"moved_at": now, "seconds": {**old.seconds, old.state: spent}, **values}
        if to in ENDS:
            values["ended_at"] = now
        _settle(connection, old, to, spent)
        if to == "queued":
            _charge(connection, old.run_id, old.model, values["event_time"])
        _tell(connection, "run", {"run_id": old.run_id, "state": to})
    connection.execute(update(run).where(run.c.run_id == old.run_id).values(state=to, **values))
    return _run(connection, old.run_id)


def _settle(connection: Connection, old: Run, to: State, spent: float) -> None:
    entry = update(budget_entry).where(budget_entry.c.run_id == old.run_id)
    if old.state == "training":
        connection.execute(entry.values(state="spent", train_seconds=spent))
    elif to in ENDS:
        # Nothing was trained: what was reserved is given back.
        connection.execute(entry.where(budget_entry.c.state == "reserved").values(state="returned"))


def _tell(connection: Connection, kind: str, payload: dict[str, Any]) -> None:
    connection.execute(outbox.insert().values(kind=kind, payload=payload, sent=False))


def _insert_once(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert unless the primary key is taken; whether it was inserted."""
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    # Asked for the row, not the count of rows: Postgres's driver does not count here.
    key = next(iter(table.primary_key.columns))
    return (
        connection.execute(make(table).values(**values).on_conflict_do_nothing().returning(key)).first()
        is not None
    )
