"""The checks of Prometheus."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from threading import Timer
from typing import Any

import pytest

from cli.checks.alertmanager import alertmanager
from cli.checks.check_result import CheckResult
from cli.checks.prometheus import JOBS, prometheus
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from shared.contracts.stack_state import ProcessState
from shared.observability.monitoring_login import ensure_password, password_path
from tests.unit.cli.fake_service import FakeService


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


def test_healthy_prometheus(settings: LocalStackSettings, service: FakeService) -> None:
    healthy(service)
    found = by_name(prometheus(settings.model_copy(update={"prometheus_url": service.url})))
    assert {name: one.state for name, one in found.items()} == dict.fromkeys(
        ("prometheus", "targets", "rules", "alerts"), "ok"
    )


def test_unreachable_prometheus_is_a_failure(settings: LocalStackSettings) -> None:
    unreachable = settings.model_copy(update={"prometheus_url": f"http://127.0.0.1:{free_port()}"})
    [found] = prometheus(unreachable)
    assert found.state == "failure"
    assert "homeostat up --observability" in found.hint


def test_an_address_with_the_number_of_a_refusal_is_none(settings: LocalStackSettings) -> None:
    """As port 40123 has it."""
    unreachable = settings.model_copy(update={"prometheus_url": f"http://127.0.0.1:{free_port()}/401"})
    [found] = prometheus(unreachable)
    assert "homeostat up --observability" in found.hint


def test_refused_login_says_what_to_set(settings: LocalStackSettings, service: FakeService) -> None:
    service.answers["GET /api/v1/targets"] = (401, {})
    [found] = prometheus(settings.model_copy(update={"prometheus_url": service.url}))
    assert found.state == "failure"
    assert "HOMEOSTAT_MONITORING_PASSWORD_FILE" in found.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize(("check", "name"), [(prometheus, "prometheus"), (alertmanager, "alertmanager")])
def test_the_password_is_not_sent_to_another_user(
    settings: LocalStackSettings, started: Callable[..., None], check: Callable[..., Any], name: str
) -> None:
    """Any user may take the port of a stopped Prometheus or Alertmanager."""
    ensure_password(settings.home)
    os.chown(password_path(settings.home), 12345, -1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        started(ProcessState(name, 1, 0.0, listener.getsockname()[1], 0, "", ""))
        [found] = check(settings)
        assert found.state == "failure"
        assert "is served by another user (id 0) than the owner of" in found.found
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_started_prometheus_is_expected_to_respond(
    settings: LocalStackSettings, started: Callable[..., None]
) -> None:
    started(ProcessState("prometheus", 1, 0.0, free_port(), 0, "", ""))
    [found] = prometheus(settings)
    assert found.state == "failure"


def test_missing_targets_are_named(settings: LocalStackSettings, service: FakeService) -> None:
    healthy(service)
    targets = [
        {"labels": {"job": "drift"}, "health": "down", "lastError": "connection refused"},
        *({"labels": {"job": job}, "health": "up"} for job in ("inference", "shipper", "sink")),
    ]
    service.answers["GET /api/v1/targets"] = (200, {"data": {"activeTargets": targets}})
    there = settings.model_copy(update={"prometheus_url": service.url})
    found = by_name(prometheus(there, next_scrape_s=0))["targets"]
    assert found.state == "failure"
    assert "drift (connection refused)" in found.found
    assert "not scraped: retraining" in found.found
    assert found.hint


def test_a_service_that_was_starting_is_up_at_the_next_scrape(
    settings: LocalStackSettings, service: FakeService
) -> None:
    healthy(service)
    up = service.answers["GET /api/v1/targets"]
    down = [{"labels": {"job": job}, "health": "down", "lastError": "refused"} for job in JOBS]
    service.answers["GET /api/v1/targets"] = (200, {"data": {"activeTargets": down}})
    next_scrape = Timer(0.5, lambda: service.answers.update({"GET /api/v1/targets": up}))
    next_scrape.start()
    found = by_name(prometheus(settings.model_copy(update={"prometheus_url": service.url})))["targets"]
    next_scrape.join()
    assert (found.state, found.found) == ("ok", f"{len(JOBS)} targets")


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
def test_broken_rules_are_a_failure(
    settings: LocalStackSettings, service: FakeService, rules: list[Any], said: str
) -> None:
    healthy(service)
    service.answers["GET /api/v1/rules"] = (200, {"data": {"groups": [{"rules": rules}]}})
    found = by_name(prometheus(settings.model_copy(update={"prometheus_url": service.url})))["rules"]
    assert (found.state, said in found.found) == ("failure", True)


def test_missing_alertmanager_is_a_failure(settings: LocalStackSettings, service: FakeService) -> None:
    healthy(service)
    service.answers["GET /api/v1/alertmanagers"] = (200, {"data": {"activeAlertmanagers": []}})
    found = by_name(prometheus(settings.model_copy(update={"prometheus_url": service.url})))["alerts"]
    assert found.state == "failure"


def test_other_prometheus_on_the_default_port_is_ignored(
    settings: LocalStackSettings, service: FakeService
) -> None:
    healthy(service)
    targets = [{"labels": {"job": "node"}, "health": "down"}]
    service.answers["GET /api/v1/targets"] = (200, {"data": {"activeTargets": targets}})
    port = int(service.url.rsplit(":", 1)[1])
    [found] = prometheus(settings.model_copy(update={"prometheus_port": port}))
    assert found.state == "off"


def test_other_server_is_a_failure(settings: LocalStackSettings, service: FakeService) -> None:
    service.answers["GET /api/v1/targets"] = (200, ["hello"])
    [found] = prometheus(settings.model_copy(update={"prometheus_url": service.url}))
    assert (found.state, "not Prometheus" in found.found) == ("failure", True)
