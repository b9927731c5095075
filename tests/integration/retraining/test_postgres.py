"""The service with its ledger on a real Postgres: one of several services is the leader, and none without the database."""

from __future__ import annotations

from pathlib import Path

from local_stack.kafka.broker import Broker
from tests.fakes.retraining_installation import MODEL, make_installation
from tests.fakes.retraining_service import ServiceProcess, group_from_now, wait_for
from tests.fakes.verdict_sender import send_verdicts
from tests.postgres import Postgres
from tests.waiting import bound


def test_verdict_leads_to_a_release(kafka_broker: Broker, postgres: Postgres, tmp_path: Path) -> None:
    installation = make_installation(tmp_path, days=15)
    service = ServiceProcess(
        installation,
        kafka=kafka_broker.bootstrap,
        consumer_group=group_from_now(kafka_broker.bootstrap),
        ledger=postgres.new_database(),
    )
    verdict = installation.verdict(15)
    try:
        service.start()
        service.deploy()
        send_verdicts(installation.home, kafka_broker.bootstrap, verdict, verdict)
        wait_for(service.ended_runs, 90, f"a run; the log: {service.log}")
        [run] = service.ended_runs()
        assert (run["state"], run["cause_key"]) == ("promoted", verdict.verdict_id), run["reason"]
        assert [entry.run_id for entry in installation.store.releases(MODEL)] == ["", run["run_id"]]
        assert installation.trainings() == [run["run_id"]]
        why = service.get(f"/versions/{run['version']}/why")
        assert why["cause"]["key"] == verdict.verdict_id
        assert service.stop() == 0
    finally:
        service.end()
    assert not list(installation.home.glob("*.sqlite"))


def test_leadership_moves_after_a_crash_or_disconnect(postgres: Postgres, tmp_path: Path) -> None:
    installation = make_installation(
        tmp_path, days=15, retraining={"command": ["python", "train.py", "slow", "3"]}
    )
    places = {"ledger": postgres.new_database()}
    first, second, third = (ServiceProcess(installation, **places) for _ in range(3))
    try:
        first.start()
        wait_for(lambda: first.get("/status")["is_leader"], 30, "the first to drive")
        second.start()
        first.deploy()
        status = second.get("/status")
        assert (status["is_leader"], status["leader"]) == (
            False,
            "another service on the same Postgres",
        )

        trigger = {"model": MODEL, "reason": "please", "key": "one"}
        run_id = second.post("/triggers", trigger, expect=202)["causes"][0]["run_id"]
        wait_for(installation.trainings, 60, "the first to train")
        first.kill()
        wait_for(lambda: second.get("/status")["is_leader"], 30, "the second to drive")
        wait_for(lambda: len(installation.trainings()) == 2, 60, "the second to train")

        # Its database is gone, so somebody else may lead: it ends by itself, and nothing was released.
        assert postgres.cut_off(places["ledger"]) >= 1
        process = second._process
        assert process is not None
        assert process.wait(timeout=bound(60)) == 0, second.log.read_text()[-2000:]
        assert "lease_lost" in second.log.read_text()
        assert installation.store.latest_generation(MODEL) == 1

        postgres.let_in(places["ledger"])
        third.start()
        wait_for(lambda: third.get(f"/runs/{run_id}")["state"] == "promoted", 90, f"the release; {third.log}")
        assert [entry.run_id for entry in installation.store.releases(MODEL)] == ["", run_id]
        assert set(installation.trainings()) == {run_id}
    finally:
        for service in (first, second, third):
            service.end()
