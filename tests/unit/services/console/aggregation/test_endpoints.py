"""Where the console looks for the services."""

from __future__ import annotations

import os
from pathlib import Path

from local_stack.state import write_state
from services.console.aggregation.endpoints import find_endpoints
from services.console.settings import ConsoleSettings
from shared.contracts.stack_state import ProcessState, StackState


def settings(home: Path, **changed: object) -> ConsoleSettings:
    return ConsoleSettings().model_copy(update={"home": home, **changed})


def running(home: Path) -> None:
    process = ProcessState(
        name="drift", pid=os.getpid(), created=1.0, port=1002, restarts=3, log="drift.log", ready_url=""
    )
    names = ("inference", "shipper", "drift", "retraining", "sink", "prometheus")
    state = StackState(
        pid=os.getpid(),
        created=1.0,
        home=str(home),
        kafka="127.0.0.1:9",
        started_at="",
        ports={},
        urls={name: f"http://127.0.0.9:{1000 + number}/status" for number, name in enumerate(names)},
        processes=(process,),
    )
    write_state(home, state)


def test_default_ports_without_a_running_stack(tmp_path: Path) -> None:
    found = find_endpoints(settings(tmp_path))
    assert found.servers == ("http://127.0.0.1:8000",)
    assert (found.shipper, found.sink) == ("http://127.0.0.1:8001", "http://127.0.0.1:8004")
    assert (found.prometheus, found.alertmanager, found.grafana) == ("", "", "")
    assert (found.log("drift"), found.restarts_of("drift")) == ("", 0)


def test_addresses_come_from_the_running_stack(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    running(tmp_path)
    found = find_endpoints(chosen)
    assert (found.servers, found.sink) == (("http://127.0.0.9:1000",), "http://127.0.0.9:1004")
    assert (found.prometheus, found.alertmanager) == ("http://127.0.0.9:1005", "")
    assert (found.log("drift"), found.restarts_of("drift")) == ("drift.log", 3)


def test_state_file_can_be_named_by_a_setting(tmp_path: Path) -> None:
    running(tmp_path / "stack")
    chosen = settings(tmp_path, stack_state=tmp_path / "stack" / "run" / "supervisor.json")
    assert find_endpoints(chosen).sink == "http://127.0.0.9:1004"


def test_settings_override_the_running_stack(tmp_path: Path) -> None:
    running(tmp_path)
    found = find_endpoints(
        settings(
            tmp_path,
            servers="http://one:1/, http://two:2",
            shipper_url="http://ship/",
            sink_url="http://sink",
            alertmanager_url="http://alert/",
            grafana_url="http://boards/",
        )
    )
    assert found.servers == ("http://one:1", "http://two:2")
    assert (found.shipper, found.sink) == ("http://ship", "http://sink")
    assert (found.alertmanager, found.grafana) == ("http://alert", "http://boards")
