"""Alertmanager: it answers, drift's alerts lead to retraining, and what it sends arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from cli.checks.check_result import Finding
from cli.checks.http_client import ask_json, ask_text, total
from cli.checks.prometheus import AGAIN, missing, place_of
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.errors import DependencyUnavailable

NAME = "alertmanager"
ALERTS = ("HomeostatDrift", "HomeostatPerformanceDrift")
TRIGGERS = "/triggers"
# Newer ones show no webhook's address: it may hold a secret.
HIDDEN = "<secret>"
SENT, FAILED = "alertmanager_notifications_total", "alertmanager_notifications_failed_total"
WEBHOOK = 'integration="webhook"'


def alertmanager(settings: LocalStackSettings) -> Iterator[Finding]:
    """Whether an alert about drift would reach retraining."""
    base, is_expected = place_of(
        settings,
        read_state(settings.home),
        NAME,
        settings.alertmanager_url,
        settings.alertmanager_port,
    )
    try:
        status = ask_json("Alertmanager", base, "/api/v2/status")
        metrics = ask_text("Alertmanager", base, "/metrics")
    except DependencyUnavailable as error:
        yield missing(NAME, error, is_expected, settings)
        return
    try:
        config = yaml.safe_load(status["config"]["original"])
        leads = routes_to_retraining(config)
    except (KeyError, TypeError, AttributeError, yaml.YAMLError):
        yield Finding(
            NAME, "failure", f"what answers at {base} is no Alertmanager", "set HOMEOSTAT_ALERTMANAGER_URL"
        )
        return
    yield Finding(NAME, "ok", f"answers at {base}")
    absent = [alert for alert in ALERTS if alert not in leads]
    if absent:
        yield Finding(
            "route to retraining", "failure", f"no route leads {', '.join(absent)} to {TRIGGERS}", AGAIN
        )
    else:
        yield Finding("route to retraining", "ok", ", ".join(ALERTS))
    sent, failed = total(metrics, SENT, WEBHOOK) or 0.0, total(metrics, FAILED, WEBHOOK) or 0.0
    if failed:
        log = settings.home / "logs" / f"{NAME}.log"
        found = f"{failed:.0f} of {sent:.0f} to webhooks failed"
        yield Finding(
            "notifications", "warning", found, f"less {log}" if log.exists() else f"curl {base}/metrics"
        )
    else:
        yield Finding("notifications", "ok", f"{sent:.0f} sent to webhooks, none failed")


def routes_to_retraining(config: dict[str, Any]) -> set[str]:
    """Which of drift's alerts some route sends to a receiver whose webhook ends in /triggers."""
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
            # The first part of a name is the other's name too: only whole words count.
            words = {word.strip("\"'=~|,{} ") for word in _words(route)}
            found |= {alert for alert in ALERTS if alert in words}
    return found


def _words(route: dict[str, Any]) -> list[str]:
    text = str(route.get("matchers", "")) + str(route.get("match", "")) + str(route.get("match_re", ""))
    for sign in "|\"'=~,[]{}():":
        text = text.replace(sign, " ")
    return text.split()
