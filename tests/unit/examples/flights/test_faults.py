"""The demo's faults: named, one after another, none left out, and one that fails is a problem of the demo."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from cli.commands.demo import demo
from examples.flights import faults
from examples.flights.faults import FAULTS, FaultInjection, parse_faults
from shared.errors import OperatorError


def test_faults_are_named_in_a_list() -> None:
    assert parse_faults("broker-down, kill-drift,kill-sink") == ("broker-down", "kill-drift", "kill-sink")
    assert parse_faults("") == ()
    with pytest.raises(ValueError, match="choose from broker-down"):
        parse_faults("kill-sink,everything")


def test_the_command_names_every_fault_there_is() -> None:
    said = str(demo.__annotations__["inject"])
    assert all(name in said for name in FAULTS)


def test_every_fault_is_injected_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    happened: list[str] = []

    def note(name: str, _: object) -> None:
        happened.append(name)

    monkeypatch.setattr(faults, "PAUSE_S", 0.01)
    for name in ("kill-drift", "kill-sink"):
        monkeypatch.setitem(FAULTS, name, partial(note, name))
    with FaultInjection(tmp_path, ("kill-drift", "kill-sink"), lambda _: None) as day:
        day.finish()
    assert happened == day.done == ["kill-drift", "kill-sink"]
    assert day.problems == []


def test_a_fault_that_cannot_be_injected_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_: object) -> None:
        raise OperatorError("kafka is not ready again after 120 s", hint="homeostat status")

    monkeypatch.setattr(faults, "PAUSE_S", 0.01)
    monkeypatch.setitem(FAULTS, "broker-down", fail)
    with FaultInjection(tmp_path, ("broker-down", "kill-drift"), lambda _: None) as day:
        day.finish()
    assert day.done == []
    assert "kafka is not ready again" in day.problems[0]
