"""The ledger keeps its promises on every database: the same tests on SQLite and on a real Postgres."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from services.retraining.cause import UNCLEAR, Cause
from services.retraining.ledger.acknowledgements import BulkAcknowledgement
from services.retraining.ledger.approvals.answering import Authority
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Decide, Ledger, run_id_of
from services.retraining.ledger.records import Project, Recorded
from services.retraining.ledger.tables import metadata
from services.retraining.ledger.watches import Watch
from services.retraining.policy.attention import Issue
from services.retraining.policy.decision import AWAITED, Decision, PastRun, PastVerdict
from services.retraining.run_states import State
from services.retraining.watch.blocks import Block
from shared.access.caller import NotPermitted
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.release import Release
from shared.contracts.verdict import Verdict, cause_key
from shared.errors import Conflict, NotFound, OperatorError
from tests.fakes.retraining_installation import LOOP, MODEL, START, loop_with
from tests.postgres import Postgres

NOW = START
SPEC = LoopSpec.model_validate(LOOP)
OWNER = Project(MODEL, "/project", SPEC, "v1")
RETRAIN = Decision("retrain", "request", "requested", START)


@pytest.fixture(scope="module")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger, which each test copies: ten migrations take longer than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "ledger.sqlite"
    open_engine(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture(scope="module")
def migrated_database(postgres: Postgres) -> str:
    """As `migrated_file`; the name of a database."""
    url = postgres.new_database()
    open_engine(url).dispose()
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        copied = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path)
        return f"sqlite:///{copied}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database(request.getfixturevalue("migrated_database"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine)


def cause(key: str = "k1") -> Cause:
    return Cause(key, MODEL, "request", "please", actor="ann", event_time=START)


def record(
    ledger: Ledger, key: str = "k1", made: Decision = RETRAIN, event_time: datetime = START
) -> Recorded:
    return ledger.record_cause(
        cause(key), version="v1", event_time=event_time, now=NOW, owner=OWNER, decide=lambda *_: made
    )


def walk(ledger: Ledger, run_id: str, *states: State) -> None:
    for state in states:
        ledger.transition(run_id, state, NOW)


def test_migrations_create_the_tables_of_the_code(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_reopening_keeps_everything(url: str, ledger: Ledger) -> None:
    record(ledger)
    assert Ledger(open_engine(url)).run(run_id_of("k1")).state == "queued"


def test_cause_is_decided_once(ledger: Ledger) -> None:
    first = record(ledger)
    assert (first.new, first.run_id) == (True, "run-k1")
    again = ledger.record_cause(
        cause(),
        version="v2",
        event_time=NOW,
        now=NOW,
        owner=OWNER,
        decide=lambda *_: pytest.fail("decided twice"),
    )
    assert again == replace(first, new=False, decision=replace(RETRAIN, change_since=None))
    assert [(one["cause_key"], one["deliveries"], one["run_id"]) for one in ledger.decisions()] == [
        ("k1", 2, "run-k1")
    ]
    assert len(ledger.runs()) == 1


def test_wait_decision_is_recorded_with_its_reason(ledger: Ledger) -> None:
    done = record(ledger, made=Decision("wait", "cooling_down", "cooling down until tomorrow"))
    assert done.run_id == ""
    [kept] = ledger.decisions(MODEL)
    assert (kept["action"], kept["reason_code"], kept["reason"], kept["run_id"]) == (
        "wait",
        "cooling_down",
        "cooling down until tomorrow",
        "",
    )
    assert ledger.runs() == []


def test_failure_while_deciding_writes_nothing(ledger: Ledger) -> None:
    def broken(*_: object) -> Decision:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.record_cause(cause(), version="v1", event_time=NOW, now=NOW, owner=OWNER, decide=broken)
    assert ledger.cause("k1") is None
    assert ledger.decisions() == []


def test_concurrent_deliveries_are_decided_once(url: str) -> None:
    ledgers = [Ledger(open_engine(url)) for _ in range(4)]
    start = Barrier(8)

    def deliver(number: int) -> Recorded:
        start.wait()
        return record(ledgers[number % 4])

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(deliver, range(8)))
    assert [result.new for result in results].count(True) == 1
    assert {result.run_id for result in results} == {"run-k1"}
    assert ledgers[0].decisions()[0]["deliveries"] == 8


def test_decision_sees_concurrent_decisions(url: str) -> None:
    """Sixteen causes at once, a policy of one run: exactly one run."""
    ledgers = [Ledger(open_engine(url)) for _ in range(4)]
    start = Barrier(16)

    def only_one(_: Cause, runs: tuple[PastRun, ...], __: tuple[PastVerdict, ...]) -> Decision:
        return Decision("wait", "run_in_progress", "busy") if runs else RETRAIN

    def deliver(number: int) -> Recorded:
        start.wait()
        ledger = ledgers[number % 4]
        return ledger.record_cause(
            cause(f"k{number}"), version="v1", event_time=NOW, now=NOW, owner=OWNER, decide=only_one
        )

    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(deliver, range(16)))
    assert [result.decision.action for result in results].count("retrain") == 1
    assert len(ledgers[0].runs()) == 1


def test_invalid_transition_is_a_conflict(ledger: Ledger) -> None:
    record(ledger)
    with pytest.raises(Conflict, match="is queued and cannot become promoted"):
        ledger.transition("run-k1", "promoted", NOW)
    walk(ledger, "run-k1", "snapshotting", "training", "packaging", "evaluating", "refused")
    run = ledger.run("run-k1")
    assert (run.state, run.ended_at) == ("refused", NOW)
    with pytest.raises(Conflict):
        ledger.transition("run-k1", "promoting", NOW)
    with pytest.raises(NotFound):
        ledger.transition("run-k2", "snapshotting", NOW)


def test_time_in_each_state_is_recorded(ledger: Ledger) -> None:
    record(ledger)
    ledger.transition("run-k1", "snapshotting", NOW + timedelta(seconds=2))
    ledger.transition("run-k1", "snapshotting", NOW + timedelta(seconds=3), lake={"predictions": 1})
    ledger.transition("run-k1", "abandoned", NOW + timedelta(seconds=4.5))
    run = ledger.run("run-k1")
    assert run.seconds == {"queued": 2.0, "snapshotting": 2.5}
    assert run.lake == {"predictions": 1}


def counts(ledger: Ledger) -> list[bool]:
    return [run.counts for run in ledger.past(MODEL)[0]]


def test_budget_is_returned_only_without_training(ledger: Ledger) -> None:
    record(ledger)
    assert counts(ledger) == [True]
    walk(ledger, "run-k1", "snapshotting", "abandoned")
    assert counts(ledger) == [False]
    record(ledger, "k2")
    walk(ledger, "run-k2", "snapshotting", "training", "failed")
    assert counts(ledger) == [False, True]
    record(ledger, "k3")
    walk(ledger, "run-k3", "snapshotting", "training", "packaging", "evaluating", "refused")
    assert counts(ledger) == [False, True, True]


def test_suggestion_reserves_no_budget(ledger: Ledger) -> None:
    record(ledger, made=replace(RETRAIN, action="suggest"))
    assert ledger.run("run-k1").state == "suggested"
    assert counts(ledger) == [False]
    with pytest.raises(Conflict, match="cannot start: no"):
        ledger.answer("run-k1", answer="yes", actor="ann", now=NOW, objection=lambda _: "no")
    assert ledger.answers("run-k1") == []
    later = START + timedelta(days=3)
    started = ledger.answer("run-k1", answer="yes", actor="ann", now=NOW, event_time=later)
    assert (started.state, started.event_time) == ("queued", later)
    assert counts(ledger) == [True]
    assert ledger.answer("run-k1", answer="yes", actor="ann", now=NOW).state == "queued"
    assert len(ledger.answers("run-k1")) == 1
    with pytest.raises(Conflict):
        ledger.answer("run-k1", answer="no", actor="bob", now=NOW)


def test_approval_is_bound_to_the_gate_result(ledger: Ledger) -> None:
    record(ledger)
    walk(ledger, "run-k1", "snapshotting", "training", "packaging", "evaluating")
    ledger.record_gate("run-k1", passed=True, digest="d1", result={"gain": 0.1}, now=NOW)
    ledger.record_gate("run-k1", passed=False, digest="d2", result={"gain": 0.2}, now=NOW)
    run = ledger.run("run-k1")
    assert (run.gate, run.gate_digest) == ({"gain": 0.1}, "d1")
    ledger.transition("run-k1", "waiting_for_approval", NOW)
    assert ledger.working_runs() == []
    assert ledger.answer("run-k1", answer="yes", actor="ann", now=NOW).state == "promoting"
    [answer] = ledger.answers("run-k1")
    assert (answer["actor"], answer["about"], answer["gate_digest"]) == ("ann", "promotion", "d1")
    assert ledger.working_runs() == ["run-k1"]


def test_delegation_holds_for_its_time_until_it_is_revoked(ledger: Ledger) -> None:
    delegations, ends_at = ledger.delegations, NOW + timedelta(days=7)
    first = delegations.create("ann (local)", "bob", model=MODEL, note="leave", now=NOW, ends_at=ends_at)
    second = delegations.create("eve", "bob", model="", note="", now=NOW, ends_at=ends_at)
    assert delegations.active(NOW) == [first, second]
    assert delegations.is_delegate("bob", ends_at - timedelta(seconds=1))
    assert not delegations.is_delegate("bob", ends_at)
    assert not delegations.is_delegate("ann", NOW)
    with pytest.raises(NotPermitted, match="was given by eve"):
        delegations.revoke(second.id, "ann", now=NOW, may_be_others=False)
    for actor in ("carl (local)", "somebody else"):
        ended = delegations.revoke(first.id, actor, now=NOW, may_be_others=True)
        assert (ended.revoked_by, ended.revoked_at) == ("carl (local)", NOW)
    assert delegations.active(NOW) == [second]
    assert delegations.newest() == [second, ended]
    with pytest.raises(NotFound):
        delegations.revoke(3, "ann", now=NOW, may_be_others=True)


def test_delegate_needs_a_delegation_when_the_answer_is_recorded(ledger: Ledger) -> None:
    """The check of the request is before: a delegation may be revoked between."""
    record(ledger, made=replace(RETRAIN, action="suggest"))
    in_place = Authority(may_be_own=False, delegated=lambda name: name != "dan")
    ends_at = NOW + timedelta(days=1)

    def answer(at: datetime = NOW) -> None:
        ledger.answer("run-k1", answer="yes", actor="bob", now=at, authority=in_place)

    with pytest.raises(NotPermitted, match="lacks the scope approve"):
        answer()
    # The cause is a request of ann; dan has lost the scope.
    for giver in ("dan", "ann"):
        ledger.delegations.create(giver, "bob", model="", note="", now=NOW, ends_at=ends_at)
    with pytest.raises(NotPermitted, match="in whose place"):
        answer()
    ledger.delegations.create("eve", "bob", model="", note="", now=NOW, ends_at=ends_at)
    with pytest.raises(NotPermitted, match="lacks the scope approve"):
        answer(ends_at)
    answer()
    assert [one["on_behalf_of"] for one in ledger.answers("run-k1")] == ["eve"]


def test_run_expires_when_nobody_approves_it_in_time(ledger: Ledger) -> None:
    timed = LoopSpec.model_validate(loop_with(retraining={"approval_timeout": "2d"}))
    suggest = replace(RETRAIN, action="suggest")
    for key, loop in (("k1", SPEC), ("k2", timed), ("k3", timed)):
        owner = replace(OWNER, loop=loop)
        ledger.record_cause(
            cause(key), version="v1", event_time=NOW, now=NOW, owner=owner, decide=lambda *_: suggest
        )
    late = NOW + timedelta(days=2)
    assert ledger.end_expired("run-k2", late - timedelta(seconds=1)) is None
    assert ledger.end_expired("run-k1", late + timedelta(days=900)) is None
    with pytest.raises(Conflict, match="nobody approved its start within 2d"):
        ledger.answer("run-k2", answer="yes", actor="ann", now=late)
    ended = ledger.end_expired("run-k2", late)
    assert ended is not None
    assert (ended.state, ended.reason_code, ended.ended_at) == ("refused", "approval_expired", late)
    assert ledger.end_expired("run-k2", late) is None
    assert ledger.answer("run-k3", answer="no", actor="ann", now=late).state == "rejected"


@pytest.mark.parametrize("end", ["abandoned", "failed"])
def test_approving_again_after_another_end_is_a_conflict(ledger: Ledger, end: State) -> None:
    record(ledger, made=replace(RETRAIN, action="suggest"))
    ledger.answer("run-k1", answer="yes", actor="ann", now=NOW)
    ledger.transition("run-k1", "snapshotting", NOW)
    assert ledger.answer("run-k1", answer="yes", actor="ann", now=NOW).state == "snapshotting"
    ledger.transition("run-k1", end, NOW, reason_code="unfit_data", reason="0 training rows")
    for answer, word in (("yes", "approved"), ("no", "rejected")):
        with pytest.raises(Conflict) as caught:
            ledger.answer("run-k1", answer=answer, actor="ann", now=NOW)
        assert caught.value.message == (
            f"run run-k1 is {end} and cannot be {word}; only a waiting run can: 0 training rows"
        )
        assert "the next cause starts another run" in caught.value.hint
    assert len(ledger.answers("run-k1")) == 1


def test_person_may_reject_a_run(ledger: Ledger) -> None:
    record(ledger, made=replace(RETRAIN, action="suggest"))
    assert ledger.answer("run-k1", answer="no", actor="ann", now=NOW).state == "rejected"
    assert ledger.answer("run-k1", answer="no", actor="ann", now=NOW).state == "rejected"
    with pytest.raises(Conflict, match="is rejected and cannot be approved"):
        ledger.answer("run-k1", answer="yes", actor="ann", now=NOW)


def fault(day: int, detector: str) -> Cause:
    start = START + timedelta(days=day)
    return Cause.of_verdict(
        Verdict.model_validate(
            {
                "verdict_id": f"{detector}{day}", "model": MODEL, "version": "v1", "generation": 1, "detector": detector,
                "window_start": start, "window_end": start + timedelta(days=1), "rows": 100, "outcomes": 100,
                "state": "data_fault", "reached_at": NOW,
            }
        )
    )  # fmt: skip


def test_only_scheduled_windows_are_excluded_and_counted(ledger: Ledger) -> None:
    """A requested verdict on a spring with one faulty week must not exclude the spring from training."""
    seen: list[tuple[PastVerdict, ...]] = []

    def wait(_: Cause, __: tuple[PastRun, ...], verdicts: tuple[PastVerdict, ...]) -> Decision:
        seen.append(verdicts)
        return Decision("wait", "bad_data", "the data is faulty")

    for received in (fault(1, "inputs"), fault(2, "request"), fault(3, "inputs"), cause()):
        ledger.record_cause(received, version="v1", event_time=NOW, now=NOW, owner=OWNER, decide=wait)
    first, third = START + timedelta(days=1), START + timedelta(days=3)
    assert ledger.faulty_windows(MODEL) == [
        (first, first + timedelta(days=1)),
        (third, third + timedelta(days=1)),
    ]
    assert [past.window_start for past in seen[-1]] == [third, first]


def verdict(day: int, *, model: str = MODEL, state: str = "drift", **more: object) -> Verdict:
    end = START + timedelta(days=day)
    values = {
        "model": model, "version": "v1", "generation": 1,
        "detector": "inputs" if state == "data_fault" else "performance",
        "window_start": end - timedelta(days=1), "window_end": end, "rows": 100,
        "outcomes": 100, "state": state, "drifted": ("performance",) if state == "drift" else (), "reached_at": NOW,
    }  # fmt: skip
    values |= more
    key = cause_key(model, str(values["detector"]), str(values["version"]), end)
    return Verdict.model_validate({"verdict_id": key, **values})


def alert_about(verdict_id: str | None, *, model: str = MODEL, key: str = "alert") -> Cause:
    return Cause(key, model, "alert", "LossHigh", actor="prometheus", about=verdict_id)


def policy(received: Cause, _: tuple[PastRun, ...], __: tuple[PastVerdict, ...]) -> Decision:
    """What the real one does about alerts, and a run for everything else."""
    if received.about == UNCLEAR:
        return Decision("wait", "verdict_unclear", "which verdict?")
    return Decision("wait", AWAITED, "not received yet") if received.about else RETRAIN


def deliver(ledger: Ledger, *causes: Cause, decide: Decide = policy) -> list[Recorded]:
    return [
        ledger.record_cause(one, version="v1", event_time=START, now=NOW, owner=OWNER, decide=decide)
        for one in causes
    ]


def deliveries(ledger: Ledger) -> dict[str, tuple[str, int]]:
    return {one["cause_key"]: (one["reason_code"], one["deliveries"]) for one in ledger.decisions()}


@pytest.mark.parametrize("order", ["verdict first", "alert first"])
def test_verdict_and_its_alert_are_one_cause(ledger: Ledger, order: str) -> None:
    reached = verdict(1)
    by_kafka, by_alert = Cause.of_verdict(reached), alert_about(reached.verdict_id)
    first = by_kafka if order == "verdict first" else by_alert
    results = deliver(ledger, first, by_alert, by_kafka, by_alert, by_kafka)
    assert {one.cause_key for one in results} == {reached.verdict_id}
    assert deliveries(ledger) == {reached.verdict_id: ("request", 5)}
    assert [run.run_id for run in ledger.runs()] == [run_id_of(reached.verdict_id)]
    found = ledger.cause(reached.verdict_id)
    assert found is not None
    kept = found["cause"]
    assert (kept["source"], kept["state"], kept["window_end"]) == ("verdict", "drift", reached.window_end)
    assert kept["verdict"] == reached.model_dump(mode="json")


def test_alert_before_its_verdict_is_decided_again(ledger: Ledger) -> None:
    reached = verdict(1)
    [first, again] = deliver(ledger, alert_about(reached.verdict_id), alert_about(reached.verdict_id))
    assert (first.decision.reason_code, first.new, again.new) == (AWAITED, True, False)
    assert ledger.runs() == []
    [decided] = deliver(ledger, Cause.of_verdict(reached))
    assert (decided.decision, decided.new) == (RETRAIN, True)


def test_verdict_after_a_decided_alert_is_recorded(ledger: Ledger) -> None:
    """Without a verdict consumer the alert decides; a verdict that arrives later is recorded."""
    seen: list[tuple[PastVerdict, ...]] = []

    def alone(_: Cause, __: tuple[PastRun, ...], verdicts: tuple[PastVerdict, ...]) -> Decision:
        seen.append(verdicts)
        return Decision("retrain", "alert", "LossHigh")

    reached = verdict(1)
    deliver(ledger, alert_about(reached.verdict_id), decide=alone)
    [later] = deliver(ledger, Cause.of_verdict(reached), decide=alone)
    assert (later.new, later.decision.reason_code) == (False, "alert")
    found = ledger.cause(reached.verdict_id)
    assert found is not None
    kept = found["cause"]
    assert (kept["source"], kept["reason"], kept["state"]) == ("alert", "LossHigh", "drift")
    deliver(ledger, Cause.of_verdict(verdict(2)), decide=alone)
    assert [past.window_end for past in seen[-1]] == [reached.window_end]
    assert len(ledger.runs()) == 2


def test_verdict_that_comes_after_a_promotion_is_no_history_of_the_new_version(ledger: Ledger) -> None:
    """Its outcomes were awaited while another version became live; `deliver` records what is served as v1."""
    late, own = verdict(2, version="v0"), verdict(1)
    deliver(ledger, Cause.of_verdict(late), Cause.of_verdict(own))
    assert [past.window_end for past in ledger.past(MODEL, "v1")[1]] == [own.window_end]
    assert ledger.verdict_log.newest(MODEL, "v1") == {"performance": own}
    assert ledger.first_window(MODEL, "v0") == late.window_start


@pytest.mark.parametrize("known", [True, False])
def test_alert_never_joins_a_verdict_of_another_model(ledger: Ledger, known: bool) -> None:
    theirs = Cause.of_verdict(verdict(1, model="other"))
    wrong = alert_about(theirs.key)
    results = deliver(ledger, *([theirs, wrong] if known else [wrong, theirs]))
    verdicts = deliver(ledger, theirs)
    assert len({one.cause_key for one in results}) == 2
    assert {one.model for one in ledger.runs()} == {"other"}
    assert ledger.runs()[0].cause_key == verdicts[0].cause_key
    [alone] = ledger.decisions(MODEL)
    assert (alone["action"], alone["reason_code"]) == ("wait", "verdict_unclear" if known else AWAITED)
    # And an alert about it that names its model right finds it.
    [right] = deliver(ledger, alert_about(theirs.key, model="other", key="theirs"))
    assert (right.cause_key, right.new) == (verdicts[0].cause_key, False)


def test_alert_joins_verdicts_only(ledger: Ledger) -> None:
    asked = Cause("a" * 32, MODEL, "request", "please", actor="ann", event_time=START)
    _, named = deliver(ledger, asked, alert_about(asked.key))
    assert (named.cause_key, named.decision.reason_code, named.new) == ("alert", "verdict_unclear", True)


def acknowledge(
    ledger: Ledger, key: str, actor: str = "ann", note: str = "sensor replaced"
) -> dict[str, Any]:
    return ledger.acknowledge(key, actor=actor, note=note, now=NOW)


def test_first_acknowledgement_counts(ledger: Ledger) -> None:
    record(ledger)
    said = {"actor": "ann", "note": "sensor replaced", "at": NOW}
    expected = {"cause_key": "k1", **said, "acknowledged_older": 0}
    assert acknowledge(ledger, "k1") == expected
    assert acknowledge(ledger, "k1", "bob", "") == expected
    assert [one["acknowledged"] for one in ledger.decisions()] == [said]
    found = ledger.cause("k1")
    assert found is not None
    assert found["decision"]["acknowledged"] == said
    with pytest.raises(NotFound, match="there is no cause k2"):
        acknowledge(ledger, "k2")


def test_drift_faults_and_failed_runs_need_acknowledgement(ledger: Ledger) -> None:
    verdicts = [
        verdict(1),
        verdict(2, state="data_fault"),
        verdict(3, state="ok"),
        verdict(4, state="insufficient_data"),
    ]
    deliver(
        ledger,
        *(Cause.of_verdict(one) for one in verdicts),
        decide=lambda *_: Decision("wait", "healthy", "fine"),
    )
    deliver(ledger, alert_about(None))
    for key, end in (("failed", "failed"), ("rejected", "rejected"), ("refused", "refused")):
        record(ledger, key, made=replace(RETRAIN, action="suggest") if end == "rejected" else RETRAIN)
        if end == "rejected":
            ledger.answer(run_id_of(key), answer="no", actor="ann", now=NOW)
        elif end == "failed":
            walk(ledger, run_id_of(key), "failed")
        else:
            walk(ledger, run_id_of(key), "snapshotting", "training", "packaging", "evaluating", "refused")
    needed = {one["cause_key"] for one in ledger.decisions() if one["needs_acknowledgement"]}
    assert needed == {verdicts[0].verdict_id, verdicts[1].verdict_id, "failed", "refused"}
    assert ledger.metrics_snapshot().unacknowledged == {MODEL: 4}
    acknowledge(ledger, "refused")
    acknowledge(ledger, "rejected")
    assert ledger.metrics_snapshot().unacknowledged == {MODEL: 3}


def test_requested_run_that_ended_the_service_needs_acknowledgement(ledger: Ledger) -> None:
    for key, code in (("died", "service_died"), ("little", "unfit_data")):
        record(ledger, key, made=RETRAIN)
        ledger.transition(run_id_of(key), "abandoned", NOW, reason_code=code, reason=code)
    needed = {one["cause_key"]: one["issue"] for one in ledger.decisions() if one["needs_acknowledgement"]}
    assert needed == {"died": "failed"}
    assert ledger.metrics_snapshot().unacknowledged == {MODEL: 1}
    acknowledge(ledger, "died")
    assert ledger.metrics_snapshot().unacknowledged == {}


def wait(reason_code: str = "healthy") -> Decide:
    return lambda *_: Decision("wait", reason_code, f"waits: {reason_code}")  # type: ignore[arg-type]


def issues(ledger: Ledger) -> list[str]:
    """The issue of each decision, oldest first."""
    found = ledger.decisions()
    assert [one["needs_acknowledgement"] for one in found] == [one["issue"] != "" for one in found]
    return [one["issue"] for one in reversed(found)]


PROVEN: tuple[State, ...] = ("snapshotting", "training", "packaging", "evaluating")


@pytest.mark.parametrize(
    ("end", "then"),
    [
        (("promoting", "promoted"), ["", "", "", ""]),
        (("succeeded",), ["drift", "drift", "drift", ""]),
        (("refused",), ["refused", "drift", "drift", ""]),
        (("failed",), ["failed", "drift", "drift", ""]),
        (("waiting_for_approval",), ["", "", "", ""]),
    ],
)
def test_drift_resolved_by_a_run_is_no_issue(ledger: Ledger, end: tuple[State, ...], then: list[str]) -> None:
    deliver(ledger, Cause.of_verdict(verdict(1)))
    for day, reason_code in ((2, "run_in_progress"), (3, "cooling_down"), (4, "version_replaced")):
        deliver(ledger, Cause.of_verdict(verdict(day)), decide=wait(reason_code))
    # A later run of the same model and one of another answer nothing that came before them, or is not theirs.
    deliver(ledger, Cause.of_verdict(verdict(9, model="other")))
    assert issues(ledger) == ["", "", "", "", ""]
    walk(ledger, run_id_of(verdict(1).verdict_id), *PROVEN, *end)
    assert issues(ledger) == [*then, ""]
    counted = len([one for one in then if one])
    assert ledger.metrics_snapshot().unacknowledged == ({MODEL: counted} if counted else {})


def test_drift_follows_the_run_it_waited_for(ledger: Ledger) -> None:
    """One refused, one promoted, one given up before training, which cools nothing down."""
    for first, end in ((1, ("refused",)), (5, ("promoting", "promoted"))):
        deliver(ledger, Cause.of_verdict(verdict(first)))
        walk(ledger, run_id_of(verdict(first).verdict_id), *PROVEN, *end)
        deliver(ledger, Cause.of_verdict(verdict(first + 1)), decide=wait("cooling_down"))
    record(ledger, "gone")
    walk(ledger, "run-gone", "snapshotting", "abandoned")
    deliver(ledger, Cause.of_verdict(verdict(7)), decide=wait("cooling_down"))
    assert issues(ledger) == ["refused", "drift", "", "", "", ""]


def watch_of(run_id: str, generation: int = 2) -> Watch:
    return Watch(MODEL, generation, "b", "a", generation - 1, "promotion", run_id, "rmse", 0.5, NOW)


def test_drift_is_an_issue_again_once_its_version_is_taken_back(ledger: Ledger) -> None:
    deliver(ledger, Cause.of_verdict(verdict(1)))
    deliver(ledger, Cause.of_verdict(verdict(2)), decide=wait("cooling_down"))
    run_id = run_id_of(verdict(1).verdict_id)
    walk(ledger, run_id, *PROVEN, "promoting", "promoted")
    ledger.watches.begin(watch_of(run_id))
    assert issues(ledger) == ["", ""]
    end = {"reason_code": "worse", "reason": "worse", "now": NOW}
    ledger.watches.change_state(watch_of(run_id), "rolled_back", **end)  # type: ignore[arg-type]
    assert issues(ledger) == ["drift", "drift"]


def test_a_watch_is_stored_once_and_ends_once(ledger: Ledger) -> None:
    one = watch_of("run-1")
    ledger.watches.begin(one)
    ledger.watches.begin(replace(one, former="c"))
    blocks = [Block(NOW, NOW + timedelta(hours=hour), 30, 0.1 + 0.2, 1 / 3) for hour in (1, 2)]
    first = ledger.watches.set_rows(one, NOW, NOW + timedelta(days=7))
    assert ledger.watches.set_rows(one, NOW + timedelta(days=1), NOW) == first
    grown = ledger.watches.add_blocks(first, blocks)
    # Another process measured the same rows: its blocks do not count twice.
    assert ledger.watches.add_blocks(first, blocks) == grown
    assert grown == replace(one, rows_from=NOW, rows_until=NOW + timedelta(days=7), blocks=tuple(blocks))
    assert ledger.watches.open_of(MODEL) == [grown]
    kept, is_new = ledger.watches.change_state(grown, "kept", reason_code="a", reason="b", now=NOW)
    assert (kept.state, kept.ended_at, is_new) == ("kept", NOW, True)
    for old in (grown, kept):
        again, is_new = ledger.watches.change_state(old, "worse", reason_code="c", reason="d", now=NOW)
        assert (again, is_new) == (kept, False)
    assert ledger.watches.add_blocks(grown, blocks) == kept
    assert ledger.watches.open_of(MODEL) == []
    assert ledger.watches.newest() == [kept]


def groups(ledger: Ledger, model: str = "") -> dict[tuple[str, str], int]:
    return {(one["model"], one["issue"]): one["count"] for one in ledger.unacknowledged(model)}


def five(ledger: Ledger) -> list[str]:
    """Drift, a fault, drift of another model, drift, drift; their keys."""
    verdicts = [
        verdict(1),
        verdict(2, state="data_fault", explanation="missing"),
        verdict(3, model="other"),
        verdict(4),
        verdict(5, explanation="the newest"),
    ]
    deliver(ledger, *map(Cause.of_verdict, verdicts), decide=wait())
    return [one.verdict_id for one in verdicts]


def seen(ledger: Ledger) -> list[str]:
    return [one["cause_key"] for one in ledger.decisions() if one["acknowledged"]]


def test_unacknowledged_decisions_are_grouped(ledger: Ledger) -> None:
    keys = five(ledger)
    [newest, other, fault_] = ledger.unacknowledged()
    assert newest == {
        "model": MODEL, "issue": "drift", "count": 3, "since": START, "newest_key": keys[4], "newest_at": NOW,
        "reason": "the newest",
    }  # fmt: skip
    assert (other["model"], fault_["issue"], fault_["reason"]) == ("other", "data_fault", "missing")
    assert groups(ledger, "other") == {("other", "drift"): 1}
    record(ledger, "broken")
    ledger.transition("run-broken", "failed", NOW, reason="the training ended with 3")
    assert ledger.unacknowledged()[0]["reason"] == "the training ended with 3"


@pytest.mark.parametrize(
    ("issue", "also", "left"),
    [
        (None, (0, 1), {(MODEL, "drift"): 1, ("other", "drift"): 1}),
        ("drift", (0,), {(MODEL, "drift"): 1, (MODEL, "data_fault"): 1, ("other", "drift"): 1}),
    ],
)
def test_bulk_acknowledgement_selects_older_decisions(
    ledger: Ledger, issue: Issue | None, also: tuple[int, ...], left: dict[tuple[str, str], int]
) -> None:
    keys = five(ledger)
    acknowledge(ledger, keys[0], "zoe", "mine")
    done = ledger.acknowledge(
        keys[3], actor="ann", note="all of them", now=NOW, older=BulkAcknowledgement(issue)
    )
    assert done["acknowledged_older"] == len(also) - 1
    assert set(seen(ledger)) == {keys[3], *(keys[place] for place in also)}
    said = {one["cause_key"]: one["acknowledged"] for one in ledger.decisions()}
    assert (said[keys[0]]["actor"], said[keys[3]]["actor"]) == ("zoe", "ann")
    if issue is None:
        assert said[keys[1]] == {"actor": "ann", "note": "all of them", "at": NOW}
    assert groups(ledger) == left
    again = ledger.acknowledge(keys[3], actor="bob", note="", now=NOW, older=BulkAcknowledgement(issue))
    assert (again["actor"], again["acknowledged_older"]) == ("ann", 0)
    assert ledger.acknowledge(keys[4], actor="ann", note="", now=NOW)["acknowledged_older"] == 0


def test_decision_not_shown_is_not_acknowledged(ledger: Ledger) -> None:
    """A verdict waits for a run; the page shows those before and after it; then the run is refused."""
    first, waiting, last = verdict(2), verdict(3), verdict(4)
    deliver(ledger, Cause.of_verdict(first), decide=wait())
    deliver(ledger, Cause.of_verdict(verdict(1)))
    deliver(ledger, Cause.of_verdict(waiting), decide=wait("run_in_progress"))
    deliver(ledger, Cause.of_verdict(last), decide=wait())
    assert groups(ledger) == {(MODEL, "drift"): 2}
    walk(ledger, run_id_of(verdict(1).verdict_id), *PROVEN, "refused")
    shown = BulkAcknowledgement("drift", expected=1)
    with pytest.raises(Conflict, match="1 older decisions were expected, but there are 2"):
        ledger.acknowledge(last.verdict_id, actor="ann", note="", now=NOW, older=shown)
    assert seen(ledger) == []
    acknowledge(ledger, first.verdict_id)
    done = ledger.acknowledge(last.verdict_id, actor="ann", note="", now=NOW, older=shown)
    assert done["acknowledged_older"] == 1
    assert groups(ledger) == {(MODEL, "refused"): 1}


def test_metrics_snapshot_matches_the_ledger(ledger: Ledger) -> None:
    empty = ledger.metrics_snapshot()
    assert (empty.models, empty.open_runs, empty.releases, empty.gates, empty.unsent) == ((), (), {}, {}, 0)
    ledger.record_project(MODEL, "/a", SPEC, "v1", "ann", NOW)
    for number in (1, 2):
        entry = Release(
            model=MODEL, generation=number, version=f"v{number}", reason="deployment", actor="ann",
            released_at=NOW + timedelta(hours=number),
        )  # fmt: skip
        ledger.record_release(entry)
    for key, gain in (("k1", 0.1), ("k2", 0.2)):
        record(ledger, key)
        result = {"gain": {"mean": gain, "lower": gain / 2}}
        ledger.record_gate(
            run_id_of(key), passed=True, digest="d", result=result, now=NOW + timedelta(hours=gain * 10)
        )
    walk(ledger, run_id_of("k1"), "failed")
    found = ledger.metrics_snapshot()
    assert [(one.model, one.state, one.created_at) for one in found.open_runs] == [(MODEL, "queued", NOW)]
    last = found.releases[MODEL]
    assert (last.generation, last.released_at) == (2, NOW + timedelta(hours=2))
    assert found.gates == {
        MODEL: ({"gain": {"mean": 0.2, "lower": 0.1}}, SPEC.require_performance().gate.minimum_gain)
    }
    assert found.unsent == 5


def test_open_run_since_creation_or_approval(ledger: Ledger) -> None:
    """What a run waited for a person is no time at work."""
    record(ledger, "k1")
    record(ledger, "k2", made=Decision("suggest", "drift", "it drifted"))
    began = {one.state: (one.created_at, one.since) for one in ledger.metrics_snapshot().open_runs}
    assert began == {"queued": (NOW, NOW), "suggested": (NOW, NOW)}
    later = NOW + timedelta(days=3)
    ledger.answer(run_id_of("k2"), answer="yes", actor="ann", now=later)
    assert sorted((one.state, one.created_at, one.since) for one in ledger.metrics_snapshot().open_runs) == [
        ("queued", NOW, NOW),
        ("queued", NOW, later),
    ]


def test_latest_verdict_with_loss(ledger: Ledger) -> None:
    assert ledger.latest_verdict_with_loss(MODEL) is None
    verdicts = [
        verdict(1, loss=0.5),
        verdict(3, state="insufficient_data", loss=None),
        verdict(2, loss=0.6),
        verdict(4, loss=0.7, detector="request"),
    ]
    deliver(ledger, *map(Cause.of_verdict, verdicts))
    assert ledger.latest_verdict_with_loss(MODEL) == verdicts[2]


def test_migration_keeps_rows(engine: Engine, ledger: Ledger) -> None:
    """As an installation before acknowledgements left it: tables of 0101, rows in them."""
    deliver(ledger, Cause.of_verdict(verdict(1)))
    record(ledger, "k2", made=Decision("wait", "cooling_down", "later"))
    before = ledger.decisions()
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE acknowledgement"))
        connection.execute(text("ALTER TABLE run DROP COLUMN step_starts"))
        connection.execute(text("DROP TABLE project_folder"))
        connection.execute(text("DROP TABLE revision"))
        connection.execute(text("DROP TABLE watch"))
        connection.execute(text("DROP TABLE phase"))
        connection.execute(text("DROP TABLE leader_lease"))
        connection.execute(text("DROP TABLE snapshot_marks"))
        connection.execute(text("DROP TABLE shadow_decision"))
        connection.execute(text("DROP TABLE delegation"))
        connection.execute(text("ALTER TABLE approval DROP COLUMN on_behalf_of"))
        connection.execute(text("DROP TABLE first_comparison"))
        connection.execute(text("ALTER TABLE release DROP COLUMN note"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0101'"))
    upgraded = open_engine(engine.url.render_as_string(hide_password=False))
    try:
        assert "acknowledgement" in inspect(upgraded).get_table_names()
        assert Ledger(upgraded).decisions() == before
        assert Ledger(upgraded).run(run_id_of(verdict(1).verdict_id)).state == "queued"
        assert acknowledge(Ledger(upgraded), "k2")["actor"] == "ann"
    finally:
        upgraded.dispose()


@pytest.mark.parametrize(("reference_loss", "detector"), [(0.6, "performance"), (None, "inputs")])
def test_migration_names_detectors(
    engine: Engine, ledger: Ledger, reference_loss: float | None, detector: str
) -> None:
    """As an installation that had one scheduled detector left it: format 0104."""
    stored = verdict(1, loss=0.7, reference_loss=reference_loss)
    deliver(ledger, Cause.of_verdict(stored))
    old = stored.model_dump_json().replace('"performance","window_start"', '"evaluation","window_start"')
    assert '"evaluation"' in old
    with engine.begin() as connection:
        connection.execute(text("UPDATE cause SET verdict = :body"), {"body": old})
        connection.execute(text("DROP TABLE revision"))
        connection.execute(text("DROP TABLE watch"))
        connection.execute(text("DROP TABLE phase"))
        connection.execute(text("DROP TABLE leader_lease"))
        connection.execute(text("DROP TABLE snapshot_marks"))
        connection.execute(text("DROP TABLE shadow_decision"))
        connection.execute(text("DROP TABLE delegation"))
        connection.execute(text("ALTER TABLE approval DROP COLUMN on_behalf_of"))
        connection.execute(text("DROP TABLE first_comparison"))
        connection.execute(text("ALTER TABLE release DROP COLUMN note"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0104'"))
    upgraded = open_engine(engine.url.render_as_string(hide_password=False))
    try:
        assert Ledger(upgraded).latest_verdict_with_loss(MODEL) == stored.model_copy(
            update={"detector": detector}
        )
    finally:
        upgraded.dispose()


def revised(number: int, state: str) -> Cause:
    """The verdict on day 1 in its revision `number`."""
    return Cause.of_verdict(verdict(1, state=state, revision=number))


def by_state(received: Cause, _: tuple[PastRun, ...], __: tuple[PastVerdict, ...]) -> Decision:
    """A run for drift, nothing for the rest."""
    assert received.verdict is not None
    return RETRAIN if received.verdict.state == "drift" else Decision("wait", "healthy", "all is well")


def test_revision_to_drift_starts_the_one_run(ledger: Ledger) -> None:
    key = verdict(1).verdict_id
    deliver(ledger, revised(1, "ok"), decide=by_state)
    [second, again, late] = deliver(
        ledger, revised(2, "drift"), revised(2, "drift"), revised(1, "ok"), decide=by_state
    )
    assert (second.new, second.run_id) == (True, run_id_of(key))
    assert [(one.new, one.run_id) for one in (again, late)] == [(False, run_id_of(key))] * 2
    [decided] = ledger.decisions()
    assert (decided["action"], decided["cause_state"], decided["deliveries"]) == ("retrain", "drift", 4)
    assert len(ledger.runs()) == 1
    found = ledger.cause(key)
    assert found is not None
    [row] = found["cause"]["revisions"]
    assert (row["revision"], row["state_before"], row["state"], row["decision_before"]) == (
        2,
        "ok",
        "drift",
        "healthy",
    )


def test_revision_to_ok_starts_and_stops_nothing(ledger: Ledger) -> None:
    key = verdict(1).verdict_id
    deliver(ledger, revised(1, "drift"), decide=by_state)
    [second, third] = deliver(ledger, revised(2, "ok"), revised(3, "drift"), decide=by_state)
    assert [(one.new, one.run_id) for one in (second, third)] == [(False, run_id_of(key))] * 2
    assert [run.state for run in ledger.runs()] == ["queued"]
    found = ledger.cause(key)
    assert found is not None
    assert [(row["state_before"], row["state"]) for row in found["cause"]["revisions"]] == [
        ("drift", "ok"),
        ("ok", "drift"),
    ]


def test_latest_revision_counts_among_windows_in_a_row(ledger: Ledger) -> None:
    deliver(
        ledger, revised(1, "drift"), revised(2, "ok"), decide=lambda *_: Decision("wait", "no_trigger", "…")
    )
    seen: list[tuple[PastVerdict, ...]] = []

    def remember(received: Cause, _: tuple[PastRun, ...], past: tuple[PastVerdict, ...]) -> Decision:
        seen.append(past)
        return Decision("wait", "healthy", "…")

    deliver(ledger, Cause.of_verdict(verdict(2)), decide=remember)
    assert [(one.state, one.drifted, one.detector) for one in seen[0]] == [("ok", (), "performance")]


def test_faulty_inputs_are_one_issue(ledger: Ledger) -> None:
    """Performance is data_fault because the inputs are: one repair, one acknowledgement."""
    nothing = Decision("wait", "bad_data", "the data is faulty")
    for detector in ("inputs", "performance"):
        received = Cause.of_verdict(verdict(1, state="data_fault", detector=detector))
        deliver(ledger, received, decide=lambda *_: nothing)
    [group] = ledger.unacknowledged()
    assert (group["issue"], group["count"]) == ("data_fault", 1)
    assert group["newest_key"] == verdict(1, state="data_fault", detector="inputs").verdict_id
    assert len(ledger.faulty_windows(MODEL)) == 1


def test_contradicting_outcomes_are_an_issue_of_their_own(ledger: Ledger) -> None:
    """The inputs of the window are sound: no other decision asks a person to look."""
    nothing = Decision("wait", "bad_data", "the data is faulty")
    sound = verdict(1, state="ok", detector="inputs")
    poisoned = verdict(1, state="data_fault", detector="performance")
    for received in (sound, poisoned):
        deliver(ledger, Cause.of_verdict(received), decide=lambda *_: nothing)
    [group] = ledger.unacknowledged()
    assert (group["issue"], group["newest_key"]) == ("data_fault", poisoned.verdict_id)
    assert len(ledger.faulty_windows(MODEL)) == 1


def test_starts_of_a_step_are_counted_until_it_ends(ledger: Ledger) -> None:
    record(ledger)
    assert ledger.begin_step("run-k1").step_starts == 1
    ledger.transition("run-k1", "snapshotting", NOW)  # the same step
    assert [ledger.begin_step("run-k1").step_starts for _ in range(2)] == [2, 3]
    ledger.leave_step("run-k1")
    assert ledger.run("run-k1").step_starts == 2
    ledger.transition("run-k1", "training", NOW)
    assert ledger.run("run-k1").step_starts == 0
    ledger.leave_step("run-k1")
    assert ledger.run("run-k1").step_starts == 0
    walk(ledger, "run-k1", "failed")
    assert ledger.begin_step("run-k1").step_starts == 0, "an ended run has no step"


def test_releases_are_recorded_once(ledger: Ledger) -> None:
    done = Release(model=MODEL, generation=1, version="v1", reason="deployment", actor="ann", released_at=NOW)
    ledger.record_release(done)
    ledger.record_release(done)
    assert [entry["generation"] for entry in ledger.releases_of_version("v1")] == [1]
    assert [entry["kind"] for entry in ledger.unsent()] == ["release"]


def test_outbox_keeps_unsent_entries(ledger: Ledger) -> None:
    record(ledger)
    ledger.transition("run-k1", "snapshotting", NOW)
    entries = ledger.unsent()
    assert [entry["payload"]["state"] for entry in entries] == ["queued", "snapshotting"]
    ledger.mark_sent([entries[0]["id"]])
    assert ledger.unsent_count() == 1


def test_projects_are_replaced(ledger: Ledger) -> None:
    assert ledger.project(MODEL) is None
    ledger.record_project(MODEL, "/a", SPEC, "v1", "ann", NOW)
    ledger.record_project(MODEL, "/b", SPEC, "v2", "ann", NOW)
    assert ledger.project(MODEL) == Project(MODEL, "/b", SPEC, "v2")
    assert ledger.models() == [MODEL]


def test_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OperatorError, match=r"file.* cannot be created"):
        open_engine(f"sqlite:///{tmp_path / 'file' / 'ledger.sqlite'}")
    (tmp_path / "ledger.sqlite").write_bytes(b"this is no database, it is a text of some length" * 50)
    with pytest.raises(OperatorError, match="cannot be opened: file is not a database"):
        open_engine(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    with pytest.raises(OperatorError, match="set HOMEOSTAT_RETRAINING_LEDGER to a sqlite or postgresql URL"):
        open_engine("mysql://localhost/x")
