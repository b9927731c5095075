"""All checks together."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from cli.checks.alertmanager import alertmanager
from cli.checks.check_result import CheckResult
from cli.checks.databases import ledger, mlflow
from cli.checks.grafana import grafana
from cli.checks.prometheus import prometheus
from cli.checks.runner import Check, checks, run_all
from local_stack.settings import LocalStackSettings
from tests.waiting import bound

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_unconfigured_servers_are_off(settings: LocalStackSettings) -> None:
    for check in (prometheus, alertmanager, grafana, ledger, mlflow):
        [found] = check(settings)
        assert found.state == "off", found


def test_stack_elsewhere_needs_nothing_of_this_machine(settings: LocalStackSettings) -> None:
    """As in the container `cli`, which has no Java, no jars, and data folders that it may not write."""
    own = {"java", "broker jars", "disk", "device", "ports"}
    assert own <= {check.name for check in checks(settings, NOW)}
    elsewhere = settings.model_copy(update={"inference_url": "http://inference:8000"})
    names = {check.name for check in checks(elsewhere, NOW)}
    assert not own & names
    assert {"broker", "services", "consumer lag", "postgres"} <= names


def test_hanging_or_broken_check_is_a_failure(settings: LocalStackSettings) -> None:
    def select(*_: object) -> list[Check]:
        return [
            Check("slow", lambda: time.sleep(30) or []),  # type: ignore[func-returns-value]
            Check("broken", lambda: [1 / 0]),  # type: ignore[list-item]
            Check("fine", lambda: [CheckResult("fine", "ok", "all well")]),
        ]

    calls: list[int] = []
    began = time.monotonic()
    found = run_all(settings, NOW, select=select, timeout_s=0.5, on_progress=lambda: calls.append(1))
    assert time.monotonic() - began < bound(5)
    assert [(one.checked, one.state) for one in found] == [
        ("slow", "failure"),
        ("broken", "failure"),
        ("fine", "ok"),
    ]
    assert "no result within" in found[0].found
    assert "ZeroDivisionError" in found[1].found
    assert len(calls) == 2
