"""The checks of Alertmanager."""

from __future__ import annotations

from typing import Any

import pytest

from cli.checks.alertmanager import alertmanager, routes_to_retraining
from cli.checks.check_result import CheckResult
from local_stack.observability.config_files import ALERTMANAGER
from local_stack.settings import LocalStackSettings
from tests.unit.cli.fake_service import FakeService


def by_name(findings: Any) -> dict[str, CheckResult]:
    return {finding.checked: finding for finding in findings}


def alerting(service: FakeService, config: str, metrics: str = "") -> None:
    service.answers["GET /api/v2/status"] = (200, {"config": {"original": config}})
    service.answers["GET /metrics"] = (200, metrics.encode())


def test_shipped_configuration_is_ok(settings: LocalStackSettings, service: FakeService) -> None:
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
def test_routes_to_retraining(alerts: str, url: str, routed: set[str]) -> None:
    import yaml

    config = yaml.safe_load(ROUTE % (alerts, url))
    assert routes_to_retraining(config) == {f"Homeostat{name}" for name in routed}


def test_missing_route_and_failed_notifications(settings: LocalStackSettings, service: FakeService) -> None:
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
