"""`kill -9` of the retraining service at seeded times of a run: then one run and one release per cause."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests import local_http
from tests.fakes.retraining_installation import MODEL, Installation, make_installation
from tests.fakes.retraining_service import ServiceProcess, wait_for


def crash_through_a_run(installation: Installation, seed: int, kills: int, *, longest: float) -> None:
    """Request a run, kill the service `kills` times at random times, repeating the request each time; then check the result."""
    chance = random.Random(seed)
    service = ServiceProcess(installation, attempts="100")
    trigger = {"model": MODEL, "reason": "crash test", "key": f"seed {seed}"}
    try:
        service.start()
        service.deploy()
        service.post("/triggers", trigger, expect=202)
        for _ in range(kills):
            time.sleep(chance.uniform(0, longest))
            service.kill()
            service.start(wait=chance.random() < 0.7)
            with suppress(httpx.TransportError):  # it may not listen yet
                local_http.post(
                    service.url("/triggers"), json=trigger, headers=installation.headers, timeout=20
                )
        wait_for(service.ready, 60, "the service to be ready")
        service.post("/triggers", trigger, expect=202)
        wait_for(service.ended_runs, 90, f"the run to end; the log: {service.log}")
        check_one_run_one_release(service, installation)
    finally:
        service.end()


def check_one_run_one_release(service: ServiceProcess, installation: Installation) -> None:
    runs = service.get("/runs")["runs"]
    assert [run["state"] for run in runs] == ["promoted"], runs
    log = installation.store.releases(MODEL)
    assert [entry.version for entry in log] == [installation.champion, runs[0]["version"]]
    assert [entry.run_id for entry in log] == ["", runs[0]["run_id"]]
    assert len(service.get("/decisions")["decisions"]) == 1
    done = list((installation.home / "runs" / runs[0]["run_id"] / "attempts").glob("*/out/metrics.json"))
    assert len(done) >= 1
    assert set(installation.trainings()) == {runs[0]["run_id"]}


@pytest.mark.parametrize("seed", range(2))
def test_kill_at_any_time_gives_one_run_and_one_release(tmp_path: Path, seed: int) -> None:
    installation = make_installation(
        tmp_path, days=15, retraining={"command": ["python", "train.py", "slow", "0.5"]}
    )
    crash_through_a_run(installation, seed, kills=2, longest=3.5)
