"""Checks of the machine: each failure has a hint."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cli.checks.machine import disk, jars, java, ports, python_version
from local_stack.settings import LocalStackSettings


def test_other_python_version_is_a_failure() -> None:
    assert python_version((3, 11, 7)).state == "ok"
    assert python_version((3, 12, 0)).state == "failure"
    assert "PYTHON=" in python_version((3, 12, 0)).hint


def test_wrong_java_home_is_a_failure(settings: LocalStackSettings, tmp_path: Path) -> None:
    assert java(settings).state == "ok"
    found = java(settings.model_copy(update={"java_home": tmp_path}))
    assert found.state == "failure"
    assert "HOMEOSTAT_JAVA_HOME" in found.hint


def test_missing_jars_are_a_warning(settings: LocalStackSettings, tmp_path: Path) -> None:
    assert jars(settings.model_copy(update={"kafka_jars": tmp_path})).state == "warning"


def test_full_disk_is_a_failure(settings: LocalStackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk(settings).state == "ok"
    monkeypatch.setattr("cli.checks.machine.MIN_FREE_BYTES", 1 << 62)
    assert disk(settings).state == "failure"


def test_taken_port_is_a_failure(settings: LocalStackSettings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.drift_port))
        taken.listen()
        found = {finding.checked: finding for finding in ports(settings)}
    assert [name for name, finding in found.items() if finding.state != "ok"] == ["port of drift"]
    assert "HOMEOSTAT_DRIFT_PORT" in found["port of drift"].hint
    assert len(found) == 8
