"""Runs all checks at the same time, each in its own thread for a few seconds at most; results keep a fixed order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from threading import Thread

from cli.checks import machine
from cli.checks.alertmanager import alertmanager
from cli.checks.broker import broker
from cli.checks.certificates import certificates
from cli.checks.check_result import CheckResult
from cli.checks.databases import ledger, mlflow
from cli.checks.grafana import grafana
from cli.checks.lake import lake
from cli.checks.pipeline import lag, releases, spool
from cli.checks.prometheus import prometheus
from cli.checks.services import health
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.lock import is_supervised

# A service may take 5 s to respond, and longer on a busy machine.
TIMEOUT_S = 8.0


@dataclass(frozen=True)
class Check:
    """A check: its name, and the function that returns its results."""

    name: str
    run: Callable[[], Iterable[CheckResult]]


def checks(settings: LocalStackSettings, now: datetime) -> list[Check]:
    """All checks, in order of dependency.

    A stack elsewhere, such as that of `compose.yaml`, needs neither Java nor jars nor this machine's disk and device.
    """
    found = [Check("python", lambda: [machine.python_version(sys.version_info[:3])])]
    if is_supervised(settings.home) or not _is_elsewhere(settings):
        found += [
            Check("java", lambda: [machine.java(settings)]),
            Check("broker jars", lambda: [machine.jars(settings)]),
            Check("disk", lambda: [machine.disk(settings)]),
            Check("device", lambda: [machine.device()]),
        ]
    found += [
        Check("certificates", lambda: certificates(now)),
        Check("supervisor", lambda: [supervisor(settings)]),
    ]
    if is_supervised(settings.home) or _is_elsewhere(settings):
        found += [
            Check("broker", lambda: broker(settings)),
            Check("services", lambda: health(settings)),
            Check("spool", lambda: spool(settings)),
            Check("consumer lag", lambda: lag(settings)),
            Check("releases", lambda: releases(settings)),
        ]
    else:
        found.append(Check("ports", lambda: machine.ports(settings)))
    return [
        *found,
        Check("lake", lambda: lake(settings, now)),
        Check("prometheus", lambda: prometheus(settings)),
        Check("alertmanager", lambda: alertmanager(settings)),
        Check("grafana", lambda: grafana(settings)),
        Check("postgres", lambda: ledger(settings)),
        Check("mlflow", lambda: mlflow(settings)),
    ]


def supervisor(settings: LocalStackSettings) -> CheckResult:
    """Whether a supervisor runs on this home."""
    if is_supervised(settings.home):
        return CheckResult("supervisor", "ok", "running")
    if _is_elsewhere(settings):
        return CheckResult("supervisor", "ok", "not running here; the services are checked at the given URLs")
    return CheckResult("supervisor", "ok", "not running; `homeostat up` starts the stack")


def run_all(
    settings: LocalStackSettings,
    now: datetime,
    *,
    on_progress: Callable[[], None] = lambda: None,
    timeout_s: float = TIMEOUT_S,
    select: Callable[[LocalStackSettings, datetime], list[Check]] = checks,
) -> list[CheckResult]:
    """The results of all checks; one that exceeds `timeout_s` seconds is a failure. `on_progress` is called after each."""
    selected = select(settings, now)
    results: dict[int, list[CheckResult]] = {}

    def run(place: int, check: Check) -> None:
        try:
            results[place] = list(check.run())
        except Exception as error:  # an error in one check must not hide the results of the others
            results[place] = [
                CheckResult(
                    check.name, "failure", f"{type(error).__name__}: {error}", "homeostat doctor --json"
                )
            ]
        on_progress()

    threads = [
        # Daemon threads: a check that hangs must not block the command.
        Thread(target=run, args=(place, check), name=check.name, daemon=True)
        for place, check in enumerate(selected)
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    late = {
        place: [CheckResult(check.name, "failure", f"no result within {timeout_s:.0f} s", "homeostat status")]
        for place, check in enumerate(selected)
    }
    return [result for place in range(len(selected)) for result in results.get(place, late[place])]


def _is_elsewhere(settings: LocalStackSettings) -> bool:
    return bool(settings.inference_url or settings.drift_url or settings.retraining_url)
