"""Writes to the ledger. Every method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from services.retraining.cause import Cause
from services.retraining.ledger.acknowledgements import BulkAcknowledgement, unacknowledged_decisions
from services.retraining.ledger.approvals.answering import BY_RIGHT, Authority, record_answer
from services.retraining.ledger.approvals.delegations import Delegations
from services.retraining.ledger.approvals.expiry import APPROVAL_EXPIRED, expiry_reason, is_expired
from services.retraining.ledger.deduplication import (
    count_delivery,
    insert_cause,
    insert_decision,
    known_cause,
    with_ledger_key,
)
from services.retraining.ledger.engine import writing
from services.retraining.ledger.queries import LedgerQueries
from services.retraining.ledger.records import Project, Recorded, Run
from services.retraining.ledger.revisions import record_revision
from services.retraining.ledger.statements import (
    add_to_outbox,
    insert_once,
    insert_run,
    run_of,
    runs_before,
    transition_run,
    verdicts_before,
)
from services.retraining.ledger.tables import (
    acknowledgement,
    decision,
    gate,
    outbox,
    project,
    project_folder,
    release,
    run,
)
from services.retraining.ledger.verdict_log import VerdictLog
from services.retraining.policy.decision import AWAITED, Decision, PastRun, PastVerdict
from services.retraining.run_states import WORKING, State
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.release import Release
from shared.errors import NotFound

Decide = Callable[[Cause, tuple[PastRun, ...], tuple[PastVerdict, ...]], Decision]


def run_id_of(cause_key: str) -> str:
    """The id of the one run that a cause may have; also the name of the run's folder."""
    return f"run-{cause_key}"


class Ledger(LedgerQueries):
    """Reads and writes the ledger behind `engine`."""

    @property
    def is_fenced(self) -> bool:
        """Whether this is the leader's view of a ledger whose lease another process can take."""
        return "fence" in self._engine.get_execution_options()

    def require_lease(self) -> None:
        """Raises LeaseLost if this is the leader's view of the ledger and another process is the leader."""
        if self.is_fenced:
            with writing(self._engine):
                pass

    @property
    def delegations(self) -> Delegations:
        """Who approves in whose place."""
        return Delegations(self._engine)

    @property
    def verdict_log(self) -> VerdictLog:
        """Verdicts with the decisions on them."""
        return VerdictLog(self._engine)

    def record_project(
        self, model: str, directory: str, loop: LoopSpec, version: str, actor: str, now: datetime
    ) -> None:
        """Record the project folder and the loop specification of a model; a change of the folder also as an act of its own."""
        values = {
            "directory": directory,
            "loop": loop.model_dump(mode="json"),
            "version": version,
            "actor": actor,
            "recorded_at": now,
        }
        with writing(self._engine) as connection:
            before = connection.execute(select(project.c.directory).where(project.c.model == model)).scalar()
            if directory and directory != before:
                connection.execute(
                    project_folder.insert().values(
                        model=model, directory=directory, before=before or "", actor=actor, changed_at=now
                    )
                )
            changed = connection.execute(update(project).where(project.c.model == model).values(**values))
            if changed.rowcount == 0:
                connection.execute(project.insert().values(model=model, **values))

    def record_cause(
        self,
        received: Cause,
        *,
        version: str,
        event_time: datetime,
        now: datetime,
        owner: Project | None,
        decide: Decide,
    ) -> Recorded:
        """Decide on a cause once: cause, decision, run and budget entry are written together or not at all.

        1. find the cause's key: an alert about a verdict takes the verdict's
        2. a known cause: count the delivery and return the earlier decision, unless that awaited a verdict, or a later revision
           of the verdict became drift and nothing was started
        3. read the model's history and call `decide` (pure; called again if the transaction is retried)
        4. write cause and decision; for retrain and suggest also the run, and reserve its budget
        """
        with writing(self._engine) as connection:
            received = with_ledger_key(connection, received)
            known = known_cause(connection, received.key)
            if known is not None:
                count_delivery(connection, received, known)
                revised = record_revision(connection, received, known, now)
                if known.decision.reason_code != AWAITED and not revised:
                    return known
            made = decide(
                received,
                runs_before(connection, received.model),
                verdicts_before(connection, received.model, version),
            )
            if known is None:
                insert_cause(connection, received, version, now)
            elif made.reason_code == AWAITED:
                return known
            insert_decision(connection, received, made, event_time, now)
            run_id = ""
            if made.action != "wait" and owner is not None:
                run_id = run_id_of(received.key)
                insert_run(connection, run_id, received, made, version, event_time, now, owner)
            return Recorded(received.key, made, run_id, new=True)

    def acknowledge(
        self,
        cause_key: str,
        *,
        actor: str,
        note: str,
        now: datetime,
        older: BulkAcknowledgement | None = None,
    ) -> dict[str, Any]:
        """Record that a person has seen a decision and the selected `older` ones; the first acknowledgement counts.

        Raises NotFound; Conflict if there are more older ones than the person was shown: then nothing is acknowledged.
        """
        with writing(self._engine) as connection:
            found = connection.execute(
                select(decision.c.id, decision.c.model).where(decision.c.cause_key == cause_key)
            ).first()
            if found is None:
                raise NotFound(f"there is no cause {cause_key}", hint="GET /decisions lists them")
            also = (
                ()
                if older is None
                else older.select_keys(unacknowledged_decisions(connection, found.model, before=found.id))
            )
            for key in (cause_key, *also):
                insert_once(
                    connection, acknowledgement, cause_key=key, actor=actor, note=note, acknowledged_at=now
                )
            row = connection.execute(
                select(acknowledgement).where(acknowledgement.c.cause_key == cause_key)
            ).one()
            return {
                "cause_key": cause_key,
                "actor": row.actor,
                "note": row.note,
                "at": row.acknowledged_at,
                "acknowledged_older": len(also),
            }

    def transition(self, run_id: str, to: State, now: datetime, **values: Any) -> Run:
        """Change a run's state; if it has the state already, only write `values`.

        Raises Conflict if the run's state does not allow the transition, NotFound if there is no such run.
        """
        with writing(self._engine) as connection:
            return transition_run(connection, run_of(connection, run_id), to, now, values)

    def begin_step(self, run_id: str) -> Run:
        """Count a start of the run's current step; a change of its state resets the count. Raises NotFound."""
        with writing(self._engine) as connection:
            working = update(run).where(run.c.run_id == run_id, run.c.state.in_(WORKING))
            connection.execute(working.values(step_starts=run.c.step_starts + 1))
            return run_of(connection, run_id)

    def leave_step(self, run_id: str) -> None:
        """Take the last start back: the step did not end, and the service did not die in it."""
        with writing(self._engine) as connection:
            begun = update(run).where(run.c.run_id == run_id, run.c.step_starts > 0)
            connection.execute(begun.values(step_starts=run.c.step_starts - 1))

    def record_gate(
        self, run_id: str, *, passed: bool, digest: str, result: dict[str, Any], now: datetime
    ) -> None:
        """Record a gate result; the first one counts."""
        with writing(self._engine) as connection:
            insert_once(
                connection, gate, run_id=run_id, passed=passed, digest=digest, result=result, evaluated_at=now
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
        authority: Authority = BY_RIGHT,
    ) -> Run:
        """Record a person's approval or rejection of a waiting run; bound to the gate result that was shown.

        Answer, transition and budget entry are one transaction. `objection` (pure) gets the other runs and may forbid a start.
        Repeating the same answer changes nothing. Raises Conflict if the run does not wait, has waited too long, ended otherwise
        after the same answer, or if `objection` returns a reason; NotPermitted if `authority` does not suffice.
        """
        with writing(self._engine) as connection:
            return record_answer(connection, run_id, answer, actor, now, event_time, objection, authority)

    def end_expired(self, run_id: str, now: datetime) -> Run | None:
        """Refuse a run that has waited too long for a person; None if it has not, or somebody has answered."""
        with writing(self._engine) as connection:
            old = run_of(connection, run_id)
            if not is_expired(old, now):
                return None
            why = {"reason_code": APPROVAL_EXPIRED, "reason": expiry_reason(old)}
            return transition_run(connection, old, "refused", now, why)

    def record_release(self, done: Release) -> None:
        """Copy an entry of the release log; a repetition changes nothing."""
        with writing(self._engine) as connection:
            inserted = insert_once(
                connection,
                release,
                model=done.model,
                generation=done.generation,
                version=done.version,
                reason=done.reason,
                actor=done.actor,
                run_id=done.run_id,
                released_at=done.released_at,
                note=done.note,
            )
            if inserted:
                add_to_outbox(connection, "release", done.model_dump(mode="json"))

    def mark_sent(self, ids: Sequence[int]) -> None:
        """Mark outbox entries as sent to MLflow."""
        with writing(self._engine) as connection:
            connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(sent=True))
