"""Alertmanager: it responds, routes drift's alerts to retraining, and its notifications are delivered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from cli.checks.check_result import CheckResult
from cli.checks.http_client import get_json, get_text, metric_sum
from cli.checks.prometheus import RESTART, endpoint_of, login_of, missing
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.errors import DependencyUnavailable

NAME = "alertmanager"
ALERTS = ("HomeostatDrift", "HomeostatPerformanceDrift")
TRIGGERS = "/triggers"
# Newer versions hide the addresses of webhooks.
HIDDEN = "<secret>"
SENT, FAILED = "alertmanager_notifications_total", "alertmanager_notifications_failed_total"
WEBHOOK = 'integration="webhook"'


def alertmanager(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """Whether an alert about drift reaches retraining."""
    base, is_expected = endpoint_of(
        settings,
        read_state(settings.home),
        NAME,
        settings.alertmanager_url,
        settings.alertmanager_port,
    )
    try:
        login = login_of(settings, settings.alertmanager_url, base)
        status = get_json("Alertmanager", base, "/api/v2/status", authorization=login)
        metrics = get_text("Alertmanager", base, "/metrics", authorization=login)
    except DependencyUnavailable as error:
        yield missing(NAME, error, is_expected, settings)
        return
    try:
        config = yaml.safe_load(status["config"]["original"])
        routed = routes_to_retraining(config)
    except (KeyError, TypeError, AttributeError, yaml.YAMLError):
        yield CheckResult(
            NAME, "failure", f"the server at {base} is not Alertmanager", "set HOMEOSTAT_ALERTMANAGER_URL"
        )
        return
    yield CheckResult(NAME, "ok", f"responds at {base}")
    absent = [alert for alert in ALERTS if alert not in routed]
    if absent:
        yield CheckResult(
            "route to retraining", "failure", f"no route sends {', '.join(absent)} to {TRIGGERS}", RESTART
        )
    else:
        yield CheckResult("route to retraining", "ok", ", ".join(ALERTS))
    sent, failed = metric_sum(metrics, SENT, WEBHOOK) or 0.0, metric_sum(metrics, FAILED, WEBHOOK) or 0.0
    if failed:
        log = settings.home / "logs" / f"{NAME}.log"
        found = f"{failed:.0f} of {sent:.0f} to webhooks failed"
        yield CheckResult(
            "notifications", "warning", found, f"less {log}" if log.exists() else f"curl {base}/metrics"
        )
    else:
        yield CheckResult("notifications", "ok", f"{sent:.0f} sent to webhooks, none failed")


def routes_to_retraining(config: dict[str, Any]) -> set[str]:
    """The alerts of drift that a route sends to a webhook that ends in /triggers."""
    receivers = {
        receiver["name"]
        for receiver in config.get("receivers") or []
        for webhook in receiver.get("webhook_configs") or []
        if str(webhook.get("url", "")).endswith(TRIGGERS) or webhook.get("url") == HIDDEN
    }
    found: set[str] = set()
    waiting = [config.get("route") or {}]
    while waiting:
        route = waiting.pop()
        waiting += route.get("routes") or []
        if route.get("receiver") in receivers:
            # Compare whole words: one alert's name is the beginning of the other's.
            words = {word.strip("\"'=~|,{} ") for word in _words(route)}
            found |= {alert for alert in ALERTS if alert in words}
    return found


def _words(route: dict[str, Any]) -> list[str]:
    text = str(route.get("matchers", "")) + str(route.get("match", "")) + str(route.get("match_re", ""))
    for character in "|\"'=~,[]{}():":
        text = text.replace(character, " ")
    return text.split()
