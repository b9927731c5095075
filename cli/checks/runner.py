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
from cli.checks.check_result import Finding
from cli.checks.grafana import grafana
from cli.checks.lake import lake
from cli.checks.pipeline import lag, releases, spool
from cli.checks.prometheus import prometheus
from cli.checks.services import health
from cli.checks.stores import ledger, mlflow
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.lock import is_supervised

# A service may need its five seconds, and a machine that is busy some more.
PATIENCE_S = 8.0


@dataclass(frozen=True)
class Check:
    """A named question; `look` answers with findings."""

    name: str
    look: Callable[[], Iterable[Finding]]


def checks(settings: LocalStackSettings, now: datetime) -> list[Check]:
    """Every check, in the order in which things depend on each other."""
    found = [
        Check("python", lambda: [machine.python_version(sys.version_info[:3])]),
        Check("java", lambda: [machine.java(settings)]),
        Check("broker jars", lambda: [machine.jars(settings)]),
        Check("disk", lambda: [machine.disk(settings)]),
        Check("device", lambda: [machine.device()]),
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


def supervisor(settings: LocalStackSettings) -> Finding:
    """Whether one is at work here."""
    if is_supervised(settings.home):
        return Finding("supervisor", "ok", "at work")
    if _is_elsewhere(settings):
        return Finding("supervisor", "ok", "none here; the services are looked for at the addresses given")
    return Finding("supervisor", "ok", "not running; `homeostat up` starts the stack")


def examine(
    settings: LocalStackSettings,
    now: datetime,
    *,
    on_progress: Callable[[], None] = lambda: None,
    patience_s: float = PATIENCE_S,
    among: Callable[[LocalStackSettings, datetime], list[Check]] = checks,
) -> list[Finding]:
    """Findings of every check; one that exceeds `patience_s` seconds is a failure. `on_progress` is called after each."""
    asked = among(settings, now)
    answers: dict[int, list[Finding]] = {}

    def look(place: int, check: Check) -> None:
        try:
            answers[place] = list(check.look())
        except Exception as error:  # one check's trouble must not hide what the others found
            answers[place] = [
                Finding(check.name, "failure", f"{type(error).__name__}: {error}", "homeostat doctor --json")
            ]
        on_progress()

    threads = [
        # Daemons: a check that hangs must not keep the command from ending.
        Thread(target=look, args=(place, check), name=check.name, daemon=True)
        for place, check in enumerate(asked)
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    late = {
        place: [Finding(check.name, "failure", f"no answer within {patience_s:.0f} s", "homeostat status")]
        for place, check in enumerate(asked)
    }
    return [finding for place in range(len(asked)) for finding in answers.get(place, late[place])]


def _is_elsewhere(settings: LocalStackSettings) -> bool:
    return bool(settings.inference_url or settings.drift_url or settings.retraining_url)
