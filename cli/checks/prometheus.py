"""Prometheus: it responds, scrapes every service, has loaded the rules, and knows an Alertmanager."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cli.checks.check_result import CheckResult
from cli.checks.http_client import get_json
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.access.listener_owner import foreign_listener
from shared.contracts.stack_state import StackState
from shared.errors import DependencyUnavailable, OperatorError
from shared.observability.monitoring_login import login_for, password_path
from shared.tls.client_environment import listener_scheme

NAME = "prometheus"
JOBS = ("inference", "shipper", "sink", "drift", "retraining")
RESTART = "homeostat down && homeostat up --observability --detach"
LOGIN = "set HOMEOSTAT_MONITORING_USER and HOMEOSTAT_MONITORING_PASSWORD_FILE to its login"
# A local stack is scraped every 5 s; a service that was starting at the last scrape is up at the next.
NEXT_SCRAPE_S = 6.0


def prometheus(
    settings: LocalStackSettings, *, next_scrape_s: float = NEXT_SCRAPE_S
) -> Iterator[CheckResult]:
    """Each problem that leaves a board empty or an alert unsent. A target that is down gets `next_scrape_s` to come up."""
    state = read_state(settings.home)
    base, is_expected = endpoint_of(settings, state, NAME, settings.prometheus_url, settings.prometheus_port)
    try:
        get = partial(
            get_json, "Prometheus", base, authorization=login_of(settings, settings.prometheus_url, base)
        )
        targets = _scraped_targets(get, next_scrape_s)
        groups = get("/api/v1/rules")["data"]["groups"]
        managers = get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    except DependencyUnavailable as error:
        yield missing(NAME, error, is_expected, settings)
        return
    except (KeyError, TypeError):
        yield CheckResult(
            NAME, "failure", f"the server at {base} is not Prometheus", "set HOMEOSTAT_PROMETHEUS_URL"
        )
        return
    by_job = {str(target["labels"].get("job")): target for target in targets}
    if not is_expected and not set(JOBS) & set(by_job):
        yield CheckResult(NAME, "off", f"the one at {base} scrapes no service of Homeostat")
        return
    yield CheckResult(NAME, "ok", f"responds at {base}")
    yield _targets(targets, by_job)
    yield _rules(groups)
    if managers:
        yield CheckResult("alerts", "ok", f"sent to {', '.join(str(one['url']) for one in managers)}")
    else:
        yield CheckResult("alerts", "failure", "Prometheus has no active Alertmanager", RESTART)


def endpoint_of(
    settings: LocalStackSettings, state: StackState | None, name: str, given: str, port: int
) -> tuple[str, bool]:
    """Address of Prometheus or Alertmanager, and whether it is expected to run: its URL is set, or this stack has started it."""
    started = {process.name: process.port for process in state.processes} if state is not None else {}
    running = state.base_url(name) if state is not None and name in started else ""
    base = given or running or f"{listener_scheme()}://{settings.host}:{started.get(name, port)}"
    return base, bool(given) or name in started


def login_of(settings: LocalStackSettings, given: str, base: str) -> str:
    """The Authorization header for Prometheus or Alertmanager at `base`; empty for none. `given`: its URL in the settings.

    Raises `DependencyUnavailable`, also where another user listens at `base`: the installation has no password for them.
    """
    try:
        login = login_for(settings, given)
    except OperatorError as error:
        raise DependencyUnavailable(error.message, hint=error.hint) from error
    if login is None:
        return ""
    if settings.monitoring_password_file is None:
        path = password_path(settings.home)
        if found := foreign_listener(base, {path.stat().st_uid}):
            port, user = found
            raise DependencyUnavailable(
                f"port {port} is served by another user (id {user}) than the owner of {path}; the password was not sent",
                hint="check who listens there with `ss -ltnp`",
            )
    return login.authorization


def missing(
    name: str, error: DependencyUnavailable, is_expected: bool, settings: LocalStackSettings
) -> CheckResult:
    """The result for a server that does not respond."""
    if not is_expected:
        return CheckResult(name, "off", "not running; `homeostat up --observability` starts it")
    if "'401 " in error.message:
        return CheckResult(name, "failure", error.message, LOGIN)
    log = settings.home / "logs" / f"{name}.log"
    return CheckResult(name, "failure", error.message, f"less {log}" if log.exists() else RESTART)


def _scraped_targets(get: Callable[[str], Any], next_scrape_s: float) -> list[dict[str, Any]]:
    ends = time.monotonic() + next_scrape_s
    while True:
        targets: list[dict[str, Any]] = get("/api/v1/targets?state=active")["data"]["activeTargets"]
        ours = [target for target in targets if target["labels"].get("job") in JOBS]
        if all(target["health"] != "down" for target in ours) or time.monotonic() > ends:
            return targets
        time.sleep(0.3)


def _targets(targets: list[dict[str, Any]], by_job: dict[str, dict[str, Any]]) -> CheckResult:
    down = [
        f"{target['labels'].get('job')} ({target.get('lastError') or target['health']})"
        for target in targets
        if target["health"] == "down"
    ]
    absent = [job for job in JOBS if job not in by_job]
    if down or absent:
        problems = [f"down: {', '.join(sorted(down))}"] if down else []
        problems += [f"not scraped: {', '.join(absent)}"] if absent else []
        return CheckResult("targets", "failure", "; ".join(problems), "homeostat status" if down else RESTART)
    unknown = [target for target in targets if target["health"] == "unknown"]
    found = f"{len(targets)} targets" + (f", {len(unknown)} not scraped yet" if unknown else "")
    return CheckResult("targets", "ok", found)


def _rules(groups: list[dict[str, Any]]) -> CheckResult:
    rules = [rule for group in groups for rule in group["rules"]]
    wrong = [rule for rule in rules if rule.get("health") == "err"]
    if not rules:
        return CheckResult("rules", "failure", "none loaded", RESTART)
    if wrong:
        found = f"{len(wrong)} of {len(rules)} fail, the first {wrong[0]['name']}: {wrong[0].get('lastError', '')}"
        return CheckResult(
            "rules", "failure", found, "promtool check rules dashboards/prometheus/rules/*.yml"
        )
    return CheckResult("rules", "ok", f"{len(rules)} loaded")
