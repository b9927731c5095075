"""Checks of the services on this home, or at other URLs."""

from __future__ import annotations

from datetime import UTC, datetime

from cli.checks.runner import run_all
from cli.checks.services import health
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from tests.unit.cli.fake_service import fake_service

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_unreachable_services_name_their_logs(settings: LocalStackSettings) -> None:
    found = list(health(settings))
    assert {finding.checked for finding in found} == {"inference", "drift", "retraining"}
    assert {finding.state for finding in found} == {"failure"}
    assert all(finding.hint.endswith(f"{finding.checked}.log") for finding in found)


def test_services_at_given_urls_are_checked(settings: LocalStackSettings) -> None:
    with fake_service() as drift:
        drift.answers["GET /health/ready"] = (200, {"ready": True})
        at_url = settings.model_copy(update={"drift_url": drift.url, "kafka": f"127.0.0.1:{free_port()}"})
        found = {finding.checked: finding.state for finding in run_all(at_url, NOW)}
    assert (found["drift"], found["retraining"], found["broker"]) == ("ok", "failure", "failure")
    assert not any(name.startswith("port of") for name in found)
