"""The checks of Postgres and MLflow."""

from __future__ import annotations

import pytest

from cli.checks.databases import ledger, mlflow
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.lock import only_one
from tests.unit.cli.fake_service import FakeService


def test_unreachable_postgres_is_a_failure(settings: LocalStackSettings, service: FakeService) -> None:
    def at(port: object) -> LocalStackSettings:
        login = ":".join(("homeostat", "secret"))
        url = f"postgresql+psycopg://{login}@127.0.0.1:{port}/ledger"
        return settings.model_copy(update={"retraining_ledger": url})

    [found] = ledger(at(free_port()))
    assert found.state == "failure"
    assert "secret" not in found.found + found.hint
    assert [one.state for one in ledger(at(service.url.rsplit(":", 1)[1]))] == ["ok"]


def test_unreachable_mlflow_is_a_warning(settings: LocalStackSettings, service: FakeService) -> None:
    [found] = mlflow(settings.model_copy(update={"retraining_mlflow_uri": service.url}))
    assert found.state == "warning"
    service.answers["GET /health"] = (200, b"OK")
    [found] = mlflow(settings.model_copy(update={"retraining_mlflow_uri": service.url}))
    assert found.state == "ok"


@pytest.mark.parametrize(
    ("reported", "state", "found"),
    [
        ("connected", "ok", "retraining is connected"),
        ("off", "off", "retraining does not send to MLflow (HOMEOSTAT_RETRAINING_MLFLOW)"),
        ("OperationalError: disk is full", "warning", "OperationalError: disk is full"),
    ],
)
def test_tracking_in_a_file_is_as_retraining_reports(
    settings: LocalStackSettings, service: FakeService, reported: str, state: str, found: str
) -> None:
    service.answers["GET /status"] = (200, {"mlflow": reported})
    [result] = mlflow(settings.model_copy(update={"retraining_url": service.url}))
    assert (result.state, result.found) == (state, found)


def test_tracking_is_off_without_retraining(settings: LocalStackSettings) -> None:
    [result] = mlflow(settings)
    assert (result.state, result.found) == (
        "off",
        "tracking uses a local file, and retraining does not run",
    )


def test_stopped_stack_does_not_report_another_retraining(
    settings: LocalStackSettings, service: FakeService
) -> None:
    service.answers["GET /status"] = (200, {"mlflow": "connected"})
    port = int(service.url.rsplit(":", 1)[1])
    [result] = mlflow(settings.model_copy(update={"retraining_port": port}))
    assert result.state == "off"
    with only_one(settings.home):
        [result] = mlflow(settings.model_copy(update={"retraining_port": port}))
    assert result.state == "ok"
