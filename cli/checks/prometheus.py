"""Prometheus: it answers, scrapes every part, has the rules, and knows whom to tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.checks.check_result import Finding
from cli.checks.http_client import ask_json
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.contracts.stack_state import StackState
from shared.errors import DependencyUnavailable

NAME = "prometheus"
JOBS = ("inference", "shipper", "sink", "drift", "retraining")
AGAIN = "homeostat down && homeostat up --observability --detach"


def prometheus(settings: LocalStackSettings) -> Iterator[Finding]:
    """Each thing that keeps a board empty or an alert silent."""
    state = read_state(settings.home)
    base, is_expected = place_of(settings, state, NAME, settings.prometheus_url, settings.prometheus_port)
    try:
        targets = ask_json("Prometheus", base, "/api/v1/targets?state=active")["data"]["activeTargets"]
        groups = ask_json("Prometheus", base, "/api/v1/rules")["data"]["groups"]
        told = ask_json("Prometheus", base, "/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    except DependencyUnavailable as error:
        yield missing(NAME, error, is_expected, settings)
        return
    except (KeyError, TypeError):
        yield Finding(
            NAME, "failure", f"what answers at {base} is no Prometheus", "set HOMEOSTAT_PROMETHEUS_URL"
        )
        return
    by_job = {str(target["labels"].get("job")): target for target in targets}
    if not is_expected and not set(JOBS) & set(by_job):
        yield Finding(NAME, "off", f"the one at {base} scrapes nothing of ours")
        return
    yield Finding(NAME, "ok", f"answers at {base}")
    yield _targets(targets, by_job)
    yield _rules(groups)
    if told:
        yield Finding("alerts", "ok", f"go to {', '.join(str(one['url']) for one in told)}")
    else:
        yield Finding("alerts", "failure", "Prometheus knows no Alertmanager that answers", AGAIN)


def place_of(
    settings: LocalStackSettings, state: StackState | None, name: str, given: str, port: int
) -> tuple[str, bool]:
    """Where a part that watches is, and whether it is expected there: it is named, or this stack has started it."""
    started = {process.name: process.port for process in state.processes} if state is not None else {}
    return given or f"http://{settings.host}:{started.get(name, port)}", bool(given) or name in started


def missing(
    name: str, error: DependencyUnavailable, is_expected: bool, settings: LocalStackSettings
) -> Finding:
    """What to say of a part that does not answer."""
    if not is_expected:
        return Finding(name, "off", "not set up; `homeostat up --observability` starts it")
    log = settings.home / "logs" / f"{name}.log"
    return Finding(name, "failure", error.message, f"less {log}" if log.exists() else AGAIN)


def _targets(targets: list[dict[str, Any]], by_job: dict[str, dict[str, Any]]) -> Finding:
    down = [
        f"{target['labels'].get('job')} ({target.get('lastError') or target['health']})"
        for target in targets
        if target["health"] == "down"
    ]
    absent = [job for job in JOBS if job not in by_job]
    if down or absent:
        said = [f"down: {', '.join(sorted(down))}"] if down else []
        said += [f"not scraped: {', '.join(absent)}"] if absent else []
        return Finding("targets", "failure", "; ".join(said), "homeostat status" if down else AGAIN)
    waiting = [target for target in targets if target["health"] == "unknown"]
    found = f"{len(targets)} scraped" + (f", {len(waiting)} of them not yet" if waiting else "")
    return Finding("targets", "ok", found)


def _rules(groups: list[dict[str, Any]]) -> Finding:
    rules = [rule for group in groups for rule in group["rules"]]
    wrong = [rule for rule in rules if rule.get("health") == "err"]
    if not rules:
        return Finding("rules", "failure", "none loaded", AGAIN)
    if wrong:
        found = f"{len(wrong)} of {len(rules)} fail, the first {wrong[0]['name']}: {wrong[0].get('lastError', '')}"
        return Finding("rules", "failure", found, "promtool check rules dashboards/prometheus/rules/*.yml")
    return Finding("rules", "ok", f"{len(rules)} loaded")
