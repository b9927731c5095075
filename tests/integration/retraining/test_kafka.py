"""Verdicts over a real broker: at least once on the wire, once in the ledger; and without a broker everything else works."""

from __future__ import annotations

from pathlib import Path

from local_stack.kafka.broker import Broker
from shared.contracts.verdict import Verdict
from tests.fakes.retraining_installation import MODEL, make_installation
from tests.fakes.retraining_service import ServiceProcess, group_from_now, wait_for
from tests.fakes.verdict_sender import send_verdicts


def test_repeated_verdict_gives_one_release(kafka_broker: Broker, tmp_path: Path) -> None:
    installation = make_installation(tmp_path, days=15)
    service = ServiceProcess(
        installation, kafka=kafka_broker.bootstrap, consumer_group=group_from_now(kafka_broker.bootstrap)
    )
    try:
        service.start()
        service.deploy()
        drift, fault = installation.verdict(15), installation.verdict(14, state="data_fault")
        send_verdicts(installation.home, kafka_broker.bootstrap, fault, drift, drift)
        wait_for(service.ended_runs, 90, f"a run; the log: {service.log}")
        assert [run["state"] for run in service.ended_runs()] == ["promoted"]
        decisions = {one["cause_key"]: one for one in service.get(f"/decisions?model={MODEL}")["decisions"]}
        assert (decisions[fault.verdict_id]["action"], decisions[fault.verdict_id]["reason_code"]) == (
            "wait",
            "bad_data",
        )

        # Killed and started again, with the verdict sent again: nothing changes.
        service.kill()
        send_verdicts(installation.home, kafka_broker.bootstrap, drift)
        service.start()
        wait_for(lambda: deliveries(service, drift) >= 3, 60, "the repeat to be received")
        assert len(service.get("/runs")["runs"]) == 1
        assert installation.store.latest_generation(MODEL) == 2
        assert installation.trainings() == [service.get("/runs")["runs"][0]["run_id"]]
    finally:
        service.end()


def deliveries(service: ServiceProcess, verdict: Verdict) -> int:
    found = [one for one in service.get("/decisions")["decisions"] if one["cause_key"] == verdict.verdict_id]
    return int(found[0]["deliveries"]) if found else 0


def test_triggers_work_without_broker(tmp_path: Path) -> None:
    installation = make_installation(tmp_path, days=15)
    service = ServiceProcess(installation, kafka="127.0.0.1:1")
    try:
        service.start()
        service.deploy()
        assert service.get("/status")["verdicts"] == "waiting for Kafka"
        run_id = service.post("/triggers", {"model": MODEL, "reason": "please"}, expect=202)["causes"][0][
            "run_id"
        ]
        wait_for(lambda: service.get(f"/runs/{run_id}")["state"] == "promoted", 60, "the run to be promoted")
        assert service.stop() == 0
    finally:
        service.end()
