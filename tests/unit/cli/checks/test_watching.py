"""The doctor on what watches: each thing that keeps a board empty or an alert silent is named with what mends it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.checks.alertmanager import alertmanager, routes_to_retraining
from cli.checks.check_result import CheckResult
from cli.checks.grafana import grafana
from cli.checks.http_client import metric_sum
from cli.checks.pipeline import lag, releases, spool
from cli.checks.prometheus import JOBS, prometheus
from cli.checks.runner import Check, run_all
from cli.checks.stores import ledger, mlflow
from local_stack.observability.config_files import ALERTMANAGER
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from local_stack.state import write_state
from shared.contracts.release import Release
from shared.contracts.stack_state import ProcessState, StackState
from shared.stores.model_store import open_model_store
from tests.unit.cli.fake_service import FakeService, fake_service

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> LocalStackSettings:
    """A home of which nothing runs, on ports where nothing listens."""
    names = ("inference", "shipper", "drift", "retraining", "sink", "broker", "prometheus", "alertmanager")
    ports = {f"{name}_port": free_port() for name in names}
    return LocalStackSettings().model_copy(update={"home": tmp_path, **ports})


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as fake:
        yield fake


def by_name(findings: Any) -> dict[str, CheckResult]:
    return {finding.checked: finding for finding in findings}


def healthy(service: FakeService) -> None:
    targets = [{"labels": {"job": job}, "health": "up", "lastError": ""} for job in JOBS]
    rules = [{"name": "HomeostatDrift", "health": "ok"}]
    service.answers["GET /api/v1/targets"] = (200, {"data": {"activeTargets": targets}})
    service.answers["GET /api/v1/rules"] = (200, {"data": {"groups": [{"rules": rules}]}})
    service.answers["GET /api/v1/alertmanagers"] = (
        200,
        {"data": {"activeAlertmanagers": [{"url": "http://127.0.0.1:9093/api/v2/alerts"}]}},
    )


def test_what_is_not_set_up_is_no_failure(settings: LocalStackSettings) -> None:
    for check in (prometheus, alertmanager, grafana, ledger, mlflow):
        [found] = check(settings)
        assert found.state == "off", found


def test_a_prometheus_as_it_should_be(settings: LocalStackSettings, service: FakeService) -> None:
    healthy(service)
    found = by_name(prometheus(settings.model_copy(update={"prometheus_url": service.url})))
    assert {name: one.state for name, one in found.items()} == dict.fromkeys(
        ("prometheus", "targets", "rules", "alerts"), "ok"
    )


def test_a_named_prometheus_that_does_not_answer_is_a_failure(settings: LocalStackSettings) -> None:
    away = settings.model_copy(update={"prometheus_url": f"http://127.0.0.1:{free_port()}"})
    [found] = prometheus(away)
    assert found.state == "failure"
    assert "homeostat up --observability" in found.hint


def test_one_this_stack_has_started_is_expected_to_answer(settings: LocalStackSettings) -> None:
    part = ProcessState(
        name="prometheus", pid=1, created=0.0, port=free_port(), restarts=0, log="", ready_url=""
    )
    write_state(
        settings.home,
        StackState(
            pid=1,
            created=0.0,
            home="",
            kafka="",
            started_at="",
            ports={},
            urls={},
            processes=(part,),
        ),
    )
    [found] = prometheus(settings)
    assert found.state == "failure"


def test_targets_that_are_down_or_not_scraped_are_named(
    settings: LocalStackSettings, service: FakeService
) -> None:
    healthy(service)
    targets = [
        {"labels": {"job": "drift"}, "health": "down", "lastError": "connection refused"},
        *({"labels": {"job": job}, "health": "up"} for job in ("inference", "shipper", "sink")),
    ]
    service.answers["GET /api/v1/targets"] = (200, {"data": {"activeTargets": targets}})
    found = by_name(prometheus(settings.model_copy(update={"prometheus_url": service.url})))["targets"]
    assert found.state == "failure"
    assert "drift (connection refused)" in found.found
    assert "not scraped: retraining" in found.found
    assert found.hint


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "none loaded"),
        (
            [{"name": "HomeostatDrift", "health": "err", "lastError": "many-to-many"}],
            "HomeostatDrift: many-to-many",
        ),
    ],
)
def test_rules_that_cannot_fire_are_a_failure(
    settings: LocalStackSettings, service: FakeService, rules: list[Any], said: str
) -> None:
    healthy(service)
    service.answers["GET /api/v1/rules"] = (200, {"data": {"groups": [{"rules": rules}]}})
    found = by_name(prometheus(settings.model_copy(update={"prometheus_url": service.url})))["rules"]
    assert (found.state, said in found.found) == ("failure", True)


def test_alerts_that_go_nowhere_are_a_failure(settings: LocalStackSettings, service: FakeService) -> None:
    healthy(service)
    service.answers["GET /api/v1/alertmanagers"] = (200, {"data": {"activeAlertmanagers": []}})
    found = by_name(prometheus(settings.model_copy(update={"prometheus_url": service.url})))["alerts"]
    assert found.state == "failure"


def test_somebody_else_s_prometheus_on_the_usual_port_is_not_ours(
    settings: LocalStackSettings, service: FakeService
) -> None:
    healthy(service)
    targets = [{"labels": {"job": "node"}, "health": "down"}]
    service.answers["GET /api/v1/targets"] = (200, {"data": {"activeTargets": targets}})
    port = int(service.url.rsplit(":", 1)[1])
    [found] = prometheus(settings.model_copy(update={"prometheus_port": port}))
    assert found.state == "off"


def test_what_answers_and_is_no_prometheus_is_told(
    settings: LocalStackSettings, service: FakeService
) -> None:
    service.answers["GET /api/v1/targets"] = (200, ["hello"])
    [found] = prometheus(settings.model_copy(update={"prometheus_url": service.url}))
    assert (found.state, "not Prometheus" in found.found) == ("failure", True)


def alerting(service: FakeService, config: str, metrics: str = "") -> None:
    service.answers["GET /api/v2/status"] = (200, {"config": {"original": config}})
    service.answers["GET /metrics"] = (200, metrics.encode())


def test_the_shipped_alertmanager_leads_drift_to_retraining(
    settings: LocalStackSettings, service: FakeService
) -> None:
    sent = 'alertmanager_notifications_total{integration="webhook"} 7\n'
    failed = 'alertmanager_notifications_failed_total{integration="webhook",reason="x"} 0\n'
    alerting(service, ALERTMANAGER.read_text(), sent + failed)
    found = by_name(alertmanager(settings.model_copy(update={"alertmanager_url": service.url})))
    assert {one.state for one in found.values()} == {"ok"}
    assert "7 sent" in found["notifications"].found


ROUTE = """
route: {receiver: people, routes: [{receiver: retraining, matchers: ['alertname=~"%s"']}]}
receivers: [{name: people}, {name: retraining, webhook_configs: [{url: "%s"}]}]
"""


@pytest.mark.parametrize(
    ("alerts", "url", "routed"),
    [
        ("HomeostatDrift|HomeostatPerformanceDrift", "http://r:8003/triggers", {"Drift", "PerformanceDrift"}),
        ("HomeostatDrift|HomeostatPerformanceDrift", "<secret>", {"Drift", "PerformanceDrift"}),
        ("HomeostatPerformanceDrift", "http://r:8003/triggers", {"PerformanceDrift"}),
        ("HomeostatInsufficientData", "http://r:8003/triggers", set()),
        ("HomeostatDrift", "http://pager.example.com/hook", set()),
    ],
)
def test_routes_are_followed_to_the_webhook(alerts: str, url: str, routed: set[str]) -> None:
    import yaml

    config = yaml.safe_load(ROUTE % (alerts, url))
    assert routes_to_retraining(config) == {f"Homeostat{name}" for name in routed}


def test_a_missing_route_and_failed_notifications_are_told(
    settings: LocalStackSettings, service: FakeService
) -> None:
    metrics = (
        'alertmanager_notifications_total{integration="webhook"} 5\n'
        'alertmanager_notifications_failed_total{integration="webhook",reason="other"} 2\n'
        'alertmanager_notifications_failed_total{integration="email",reason="other"} 9\n'
    )
    alerting(service, ROUTE % ("HomeostatDrift", "http://r:8003/triggers"), metrics)
    found = by_name(alertmanager(settings.model_copy(update={"alertmanager_url": service.url})))
    assert found["route to retraining"].state == "failure"
    assert "HomeostatPerformanceDrift" in found["route to retraining"].found
    assert (found["notifications"].state, found["notifications"].found[:6]) == ("warning", "2 of 5")


def serving(
    settings: LocalStackSettings, service: FakeService, generation: int, held: int = 0
) -> LocalStackSettings:
    service.answers["GET /status.json"] = (
        200,
        {
            "models": [{"name": "parcels", "version": "ab", "generation": generation}],
            "spool": {"bytes": held, "bound": 1000},
        },
    )
    return settings.model_copy(update={"inference_url": service.url})


@pytest.mark.parametrize(("held", "state"), [(10, "ok"), (800, "failure")])
def test_a_spool_near_its_bound_is_a_failure(
    settings: LocalStackSettings, service: FakeService, held: int, state: str
) -> None:
    [found] = spool(serving(settings, service, 1, held))
    assert found.state == state


def test_a_server_behind_the_release_log_is_a_failure(
    settings: LocalStackSettings, service: FakeService
) -> None:
    given = serving(settings, service, 1)
    assert [one.state for one in releases(given)] == ["ok"]
    store = open_model_store(settings.model_store_url)
    for generation in (1, 2):
        entry = {"model": "parcels", "generation": generation, "version": "ab", "released_at": NOW}
        store.add_release(Release(**entry, reason="deployment", actor="ada"))
    [found] = releases(given)
    assert (found.state, found.found) == ("failure", "generation 2 is released, 1 is served")
    assert found.hint == "homeostat releases parcels"
    assert [one.state for one in releases(serving(settings, service, 2))] == ["ok"]


@pytest.mark.parametrize(("behind", "state"), [("3.0", "ok"), ("20001.0", "failure")])
def test_a_sink_that_does_not_keep_up_is_a_failure(
    settings: LocalStackSettings, service: FakeService, behind: str, state: str
) -> None:
    port = int(service.url.rsplit(":", 1)[1])
    write_state(
        settings.home,
        StackState(
            pid=1,
            created=0.0,
            home="",
            kafka="",
            started_at="",
            ports={"sink": port},
            urls={},
            processes=(),
        ),
    )
    service.answers["GET /metrics"] = (
        200,
        f'homeostat_sink_lag_records{{topic="homeostat.predictions"}} {behind}\n'.encode(),
    )
    [found] = lag(settings)
    assert found.state == state


def test_a_ledger_on_a_postgres_that_is_away_is_a_failure(
    settings: LocalStackSettings, service: FakeService
) -> None:
    def at(port: object) -> LocalStackSettings:
        login = ":".join(("homeostat", "secret"))
        url = f"postgresql+psycopg://{login}@127.0.0.1:{port}/ledger"
        return settings.model_copy(update={"retraining_ledger": url})

    [found] = ledger(at(free_port()))
    assert found.state == "failure"
    assert "secret" not in found.found + found.hint
    assert [one.state for one in ledger(at(service.url.rsplit(":", 1)[1]))] == ["ok"]


def test_an_mlflow_that_is_away_is_a_warning(settings: LocalStackSettings, service: FakeService) -> None:
    [found] = mlflow(settings.model_copy(update={"retraining_mlflow_uri": service.url}))
    assert found.state == "warning"
    service.answers["GET /health"] = (200, b"OK")
    [found] = mlflow(settings.model_copy(update={"retraining_mlflow_uri": service.url}))
    assert found.state == "ok"


def test_metrics_are_summed_over_their_series() -> None:
    text = '# HELP a_total x\na_total{kind="b"} 1\na_total{kind="c"} 2.5\na_total_more 9\nplain 4\n'
    assert metric_sum(text, "a_total") == 3.5
    assert metric_sum(text, "a_total", 'kind="c"') == 2.5
    assert metric_sum(text, "plain") == 4
    assert metric_sum(text, "absent") is None


def test_a_check_that_hangs_or_breaks_hides_nothing_and_holds_nobody_up(settings: LocalStackSettings) -> None:
    def select(*_: object) -> list[Check]:
        return [
            Check("slow", lambda: time.sleep(30) or []),  # type: ignore[func-returns-value]
            Check("broken", lambda: [1 / 0]),  # type: ignore[list-item]
            Check("fine", lambda: [CheckResult("fine", "ok", "all well")]),
        ]

    calls: list[int] = []
    began = time.monotonic()
    found = run_all(settings, NOW, select=select, timeout_s=0.5, on_progress=lambda: calls.append(1))
    assert time.monotonic() - began < 5
    assert [(one.checked, one.state) for one in found] == [
        ("slow", "failure"),
        ("broken", "failure"),
        ("fine", "ok"),
    ]
    assert "no result within" in found[0].found
    assert "ZeroDivisionError" in found[1].found
    assert len(calls) == 2
