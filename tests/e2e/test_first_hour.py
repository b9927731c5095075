"""A person's first hour, on the real stack: start it, make a project, deploy, ask, tell the truth, ask why, take back, end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_stack.state import read_state
from local_stack.supervisor.lock import supervisor_pid
from shared.contracts.stack_state import StackState
from tests import local_http
from tests.waiting import bound, time_factor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
ROOT = Path(__file__).parents[2]


class Person:
    """Types `homeostat` commands about one home."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.project = folder / "project"

    def run(self, *command: str, code: int = 0, within_s: float = 200.0) -> Any:
        """The command's JSON; it must end with exit code `code`."""
        where = [] if command[0] == "init" else ["--home", str(self.home)]
        done = subprocess.run(
            [sys.executable, "-m", "cli", *command, *where, "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=bound(within_s),
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def state(self) -> StackState:
        found = read_state(self.home)
        assert found is not None
        return found

    def is_serving(self) -> bool:
        """Whether inference has loaded what is released, which takes a moment after its start."""
        ready = f"http://127.0.0.1:{self.state().ports['inference']}/health/ready"
        return local_http.get(ready, timeout=bound(10)).status_code == 200

    def ask(self, path: str, body: object) -> Any:
        answer = local_http.post(
            f"http://127.0.0.1:{self.state().ports['inference']}{path}",
            json=body,
            timeout=bound(10),
        )
        assert answer.status_code < 300, answer.text
        return answer.json()


def until(look: Callable[[], Any], within_s: float, what: str) -> Any:
    """The first true thing `look` returns."""
    ends = time.monotonic() + within_s * time_factor()
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < ends, f"not within {within_s} s: {what}"
        time.sleep(0.2)


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    someone = Person(tmp_path)
    try:
        yield someone
    finally:
        someone.run("down")


def test_the_first_hour(person: Person) -> None:
    # Start the stack.
    state = person.run("up", "--detach", "--free-ports")
    assert next(process["name"] for process in state["processes"]) == "kafka"
    assert person.run("status")["ready"]
    report = person.run("doctor")
    assert report["ok"], report
    assert {"broker", "topics", "inference", "drift", "retraining"} <= {
        finding["checked"] for finding in report["findings"]
    }
    assert "already" in person.run("up", "--detach", code=3)["error"]

    # A project that works as written.
    person.run("init", str(person.project))
    subprocess.run(
        [sys.executable, "make_data.py"],
        cwd=person.project,
        check=True,
        timeout=bound(60),
        capture_output=True,
    )
    data = [f"--train={person.project / 'train.parquet'}", f"--holdout={person.project / 'holdout.parquet'}"]
    first = person.run("deploy", str(person.project), *data)
    assert (first["model"], first["generation"], first["served"]) == ("parcels", 1, True)
    assert first["warnings"] == []

    # Ask, and tell the truth.
    rows = [{"service": "economy", "distance_km": 820, "weight_kg": None, "parcels_today": 431}]
    answer = person.ask("/predict", {"model": "parcels", "rows": rows})
    assert (answer["version"], answer["generation"]) == (first["version"], 1)
    prediction = answer["predictions"][0]["prediction_id"]
    assert person.ask("/outcomes", {"prediction_id": prediction, "value": 1}) == {"accepted": 1}

    # Why.
    def logged() -> bool:
        return (
            subprocess.run(
                [sys.executable, "-m", "cli", "why", prediction, "--home", str(person.home)],
                cwd=ROOT,
                capture_output=True,
                check=False,
            ).returncode
            == 0
        )

    until(logged, 30, "the answer is in the lake")
    chain = person.run("why", prediction)
    assert chain["version"]["version"] == first["version"]
    assert chain["version"]["origin"]["kind"] == "deployment"
    assert person.run("why", first["version"][:12])["version"]["model"] == "parcels"
    assert person.run("why", "f" * 12, code=3)["exit_code"] == 3

    # Another version, and back.
    path = person.project / "train.py"
    path.write_text(path.read_text().replace("RIDGE = 1e-3", "RIDGE = 1e-2"))
    second = person.run("deploy", str(person.project), *data)
    assert second["generation"] == 2
    assert second["version"] != first["version"]
    assert person.run("rollback", "parcels", "--reason", "the old one was better")["generation"] == 3
    log = person.run("releases", "parcels")["releases"]
    assert [(release["generation"], release["version"]) for release in log] == [
        (3, first["version"]),
        (2, second["version"]),
        (1, first["version"]),
    ]
    until(
        lambda: person.ask("/predict", {"rows": rows})["generation"] == 3,
        20,
        "the old version is served again",
    )

    # The supervisor is killed: serving goes on, and a new start ends what was left and serves the same.
    killed = person.state()
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: supervisor_pid(person.home) is None, 10, "the supervisor is gone")
    assert person.ask("/predict", {"rows": rows})["generation"] == 3
    assert not person.run("status", code=1)["supervised"]
    person.run("up", "--detach", "--free-ports")
    assert not any(psutil.pid_exists(process.pid) for process in killed.processes)
    until(person.is_serving, 20, "it is served again")
    assert person.ask("/predict", {"rows": rows})["generation"] == 3

    # The end.
    running = person.state()
    person.run("down")
    assert not any(psutil.pid_exists(process.pid) for process in running.processes)
    assert read_state(person.home) is None
    assert person.run("down") == {"ended": []}
