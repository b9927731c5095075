"""The service as a process: two of them on one ledger, stopped and started, on a port that is taken."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.fakes.retraining_installation import MODEL, Installation, make_installation
from tests.fakes.retraining_service import ServiceProcess, wait_for
from tests.waiting import bound


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return make_installation(tmp_path, days=15)


def test_two_services_give_one_run_per_cause(
    installation: Installation,
) -> None:
    """Then the driving one is killed while a training runs: the other takes over, and still there is one run and one release."""
    first, second = ServiceProcess(installation), ServiceProcess(installation)
    try:
        first.start()
        wait_for(lambda: first.get("/status")["is_leader"], 30, "the first to drive")
        second.start()
        status = second.get("/status")
        assert (status["ready"], status["is_leader"]) == (True, False)
        assert status["leader"].startswith("process ")
        second.deploy()

        trigger = {"model": MODEL, "reason": "sent to both", "key": "one"}
        answers = [
            service.post("/triggers", trigger, expect=202)["causes"][0] for service in (second, first, second)
        ]
        assert [answer["new"] for answer in answers] == [True, False, False]
        run_id = answers[0]["run_id"]
        wait_for(lambda: second.get(f"/runs/{run_id}")["state"] == "promoted", 60, "the run to be promoted")
        assert installation.trainings() == [run_id]

        slow = {"model": MODEL, "reason": "a second one", "key": "two"}
        other = second.post("/triggers", slow, expect=202)["causes"][0]["run_id"]
        wait_for(lambda: second.get(f"/runs/{other}")["state"] != "queued", 30, "the second run to begin")
        first.kill()
        wait_for(lambda: second.get("/status")["is_leader"], 30, "the second to drive")
        wait_for(lambda: second.get(f"/runs/{other}")["ended_at"], 60, "the second run to end")
        assert [run["run_id"] for run in second.get("/runs")["runs"]] == [other, run_id]
        released = [entry.run_id for entry in installation.store.releases(MODEL)]
        assert released.count(run_id) == 1
        assert released.count(other) <= 1
    finally:
        first.end()
        second.end()


def test_stopped_service_restarts_its_training(tmp_path: Path) -> None:
    installation = make_installation(
        tmp_path, days=15, retraining={"command": ["python", "train.py", "slow", "3"]}
    )
    service = ServiceProcess(installation)
    try:
        service.start()
        service.deploy()
        run_id = service.post("/triggers", {"model": MODEL, "reason": "please"}, expect=202)["causes"][0][
            "run_id"
        ]
        wait_for(installation.trainings, 60, "the training to begin")
        assert service.stop() == 0
        assert installation.store.latest_generation(MODEL) == 1
        service.start()
        wait_for(lambda: service.get(f"/runs/{run_id}")["state"] == "promoted", 90, "the run to be promoted")
        assert service.get(f"/runs/{run_id}")["attempts"] == 2
        assert [entry.run_id for entry in installation.store.releases(MODEL)] == ["", run_id]
    finally:
        service.end()


def test_port_in_use_is_reported(installation: Installation) -> None:
    service = ServiceProcess(installation)
    with socket.create_server(("127.0.0.1", service.port)):
        service.start(wait=False)
        process = service._process
        assert process is not None
        assert process.wait(timeout=bound(60)) == 1
    log = service.log.read_text()
    assert f"port {service.port} on 127.0.0.1 cannot be opened: Address already in use" in log
    assert "HOMEOSTAT_RETRAINING_PORT" in log


def test_invalid_setting_is_reported(installation: Installation) -> None:
    service = ServiceProcess(installation, poll_seconds="soon")
    service.start(wait=False)
    process = service._process
    assert process is not None
    assert process.wait(timeout=bound(60)) == 1
    log = service.log.read_text()
    assert "HOMEOSTAT_RETRAINING_POLL_SECONDS: Input should be a valid number" in log
    assert "Traceback" not in log
