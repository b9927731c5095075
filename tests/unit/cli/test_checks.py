"""The doctor: what each check finds, and that each failure names what mends it."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from cli.checks.broker import broker
from cli.checks.lake import clock, lake, last_data
from cli.checks.machine import disk, jars, java, ports, python_version
from cli.checks.runner import run_all
from cli.checks.services import health
from cli.main import app
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from shared.stores.lake import Lake
from tests.unit.cli.fake_service import fake_service

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> LocalStackSettings:
    """Settings of a home where every port is free."""
    names = ("inference", "shipper", "drift", "retraining", "sink", "console", "broker", "controller")
    return LocalStackSettings().model_copy(
        update={"home": tmp_path, **{f"{name}_port": free_port() for name in names}}
    )


def test_other_pythons_are_a_failure() -> None:
    assert python_version((3, 11, 7)).state == "ok"
    assert python_version((3, 12, 0)).state == "failure"
    assert "PYTHON=" in python_version((3, 12, 0)).hint


def test_a_wrong_java_home_is_a_failure(settings: LocalStackSettings, tmp_path: Path) -> None:
    assert java(settings).state == "ok"
    found = java(settings.model_copy(update={"java_home": tmp_path}))
    assert found.state == "failure"
    assert "HOMEOSTAT_JAVA_HOME" in found.hint


def test_missing_jars_are_a_warning(settings: LocalStackSettings, tmp_path: Path) -> None:
    assert jars(settings.model_copy(update={"kafka_jars": tmp_path})).state == "warning"


def test_a_full_disk_is_a_failure(settings: LocalStackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk(settings).state == "ok"
    monkeypatch.setattr("cli.checks.machine.MIN_FREE_BYTES", 1 << 62)
    assert disk(settings).state == "failure"


def test_a_taken_port_is_a_failure_and_the_others_are_not(settings: LocalStackSettings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.drift_port))
        taken.listen()
        found = {finding.checked: finding for finding in ports(settings)}
    assert [name for name, finding in found.items() if finding.state != "ok"] == ["port of drift"]
    assert "HOMEOSTAT_DRIFT_PORT" in found["port of drift"].hint
    assert len(found) == 8


def test_a_silent_broker_is_a_failure(settings: LocalStackSettings) -> None:
    silent = settings.model_copy(update={"kafka": f"127.0.0.1:{free_port()}"})
    [found] = broker(silent)
    assert found.state == "failure"
    assert "kafka.log" in found.hint


def test_silent_services_are_failures_that_name_their_logs(settings: LocalStackSettings) -> None:
    found = list(health(settings))
    assert {finding.checked for finding in found} == {"inference", "drift", "retraining"}
    assert {finding.state for finding in found} == {"failure"}
    assert all(finding.hint.endswith(f"{finding.checked}.log") for finding in found)


def test_services_elsewhere_are_asked_and_local_ports_are_not(settings: LocalStackSettings) -> None:
    with fake_service() as drift:
        drift.answers["GET /health/ready"] = (200, {"ready": True})
        elsewhere = settings.model_copy(update={"drift_url": drift.url, "kafka": f"127.0.0.1:{free_port()}"})
        found = {finding.checked: finding.state for finding in run_all(elsewhere, NOW)}
    assert (found["drift"], found["retraining"], found["broker"]) == ("ok", "failure", "failure")
    assert not any(name.startswith("port of") for name in found)


def test_an_empty_lake_is_well(settings: LocalStackSettings) -> None:
    assert [finding.state for finding in lake(settings, NOW)] == ["ok", "ok", "ok"]


def test_a_clock_behind_the_newest_commit_was_stepped_back(settings: LocalStackSettings) -> None:
    table = pa.table({"prediction_id": ["a"]})
    write_deltalake(Lake(settings.lake_url).predictions("parcels"), table)
    now = datetime.now(UTC)
    assert [finding.state for finding in lake(settings, now)] == ["ok", "ok", "ok"]
    assert [finding.state for finding in lake(settings, now - timedelta(hours=1))] == ["ok", "ok", "failure"]


def test_a_broken_lake_is_a_failure(settings: LocalStackSettings) -> None:
    location = Path(Lake(settings.lake_url).predictions("parcels"))
    write_deltalake(location, pa.table({"prediction_id": ["a"]}))
    (location / "_delta_log" / "00000000000000000000.json").write_text("not json")
    [found] = lake(settings, NOW)
    assert found.state == "failure"


def test_when_data_last_came_is_told(settings: LocalStackSettings) -> None:
    assert "inject traffic" in last_data(None, NOW).found
    assert last_data(NOW - timedelta(seconds=3), NOW).found == "3 s ago"
    assert last_data(NOW - timedelta(hours=5), NOW).found == "5 hours ago"
    assert last_data(NOW + timedelta(seconds=3), NOW).state == "ok"


def test_the_clock_may_lag_by_seconds() -> None:
    assert clock(NOW + timedelta(seconds=4), NOW).state == "ok"
    assert clock(NOW + timedelta(seconds=6), NOW).state == "failure"
    assert clock(None, NOW).state == "ok"


def test_the_command_exits_1_on_a_failure_and_lists_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEOSTAT_JAVA_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path), "--json"])
    report = json.loads(done.stdout)
    assert done.exit_code == 1
    assert not report["ok"]
    checked = {finding["checked"] for finding in report["findings"]}
    assert {
        "python",
        "java",
        "broker jars",
        "disk",
        "device",
        "supervisor",
        "port of kafka",
        "lake",
        "clock",
    } <= checked
