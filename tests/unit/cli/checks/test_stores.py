"""The checks of Postgres and MLflow."""

from __future__ import annotations

from cli.checks.stores import ledger, mlflow
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
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
