"""A real Prometheus and a real Alertmanager for tests: on free ports, from the shipped files, ended by their pid."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from local_stack.observability.config_files import RULES, alertmanager_config, prometheus_config
from local_stack.observability.processes import (
    ALERTMANAGER,
    INSTALL,
    PROMETHEUS,
    READY,
    alertmanager_command,
    prometheus_command,
)
from local_stack.observability.web_config import web_config
from local_stack.ports import free_port
from shared.observability.monitoring_login import USER, MonitoringLogin
from tests import local_http
from tests.waiting import bound, time_factor

HOST = "127.0.0.1"
PROGRAMS = {
    PROMETHEUS: ("prometheus",),
    ALERTMANAGER: ("prometheus-alertmanager", "alertmanager"),
    "promtool": ("promtool",),
    "amtool": ("amtool",),
}
LOGIN = MonitoringLogin(USER, "some-password")
SHIPPED_RULES = sorted(Path(RULES).parent.glob("*.yml"))


def program(name: str) -> str:
    """Path of a program; where it is missing the test is skipped with the command that installs it, and fails under CI=true."""
    for candidate in PROGRAMS[name]:
        found = shutil.which(candidate)
        if found:
            return found
    missing = f"{name} is not installed: {INSTALL}"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


def eventually(found: Callable[[], Any], what: str | Callable[[], str], seconds: float = 30.0) -> Any:
    """Ask until there is an answer that counts as true; fails with `what` after `seconds`; a callable is asked then."""
    deadline = time.monotonic() + seconds * time_factor()
    while True:
        answer = found()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            pytest.fail(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.1)


class Program:
    """One running program with an HTTP server at `url`. Use it as a context: at the end it is ended by its pid."""

    def __init__(self, name: str, command: Sequence[str], port: int, log: Path) -> None:
        self.name = name
        self.url = f"http://{HOST}:{port}"
        self.headers = {"Authorization": LOGIN.authorization}
        self.port = port
        self.log = log
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Any:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            eventually(self._is_ready, f"{self.name} is ready; its log: {self.log}")
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        """End it, by force after 10 s."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(by)
            try:
                process.wait(bound(10))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(bound(10))

    def get(self, path: str, **params: str) -> httpx.Response:
        """The answer to a GET; no proxy of the environment stands between."""
        return local_http.get(self.url + path, params=params, timeout=bound(10), headers=self.headers)

    def post(self, path: str, body: Any) -> None:
        """Post a body, which must be accepted."""
        answer = local_http.post(self.url + path, json=body, timeout=bound(10), headers=self.headers)
        answer.raise_for_status()

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"{self.name} ended with {self._process.returncode}: {self.log.read_text()[-2000:]}")
        try:
            return self.get(READY).status_code == 200
        except httpx.TransportError:
            return False


@dataclass(frozen=True)
class Sample:
    """One element of an instant vector."""

    labels: dict[str, str]
    value: float


class RunningPrometheus(Program):
    """A Prometheus that scrapes what a test gave it."""

    def query(self, expression: str) -> list[Sample]:
        """The instant vector an expression yields now (a scalar is one sample without labels). A wrong one fails the test."""
        answer = self.get("/api/v1/query", query=expression).json()
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        data = answer["data"]
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(each["metric"], float(each["value"][1])) for each in data["result"]]

    def targets(self) -> list[dict[str, Any]]:
        """Every active target with its health and last error."""
        found: list[dict[str, Any]] = self.get("/api/v1/targets", state="active").json()["data"][
            "activeTargets"
        ]
        return found

    def wait_for_targets(self, seconds: float = 30.0) -> None:
        """Return once every target was scraped well."""
        eventually(
            lambda: (found := self.targets()) and all(each["health"] == "up" for each in found),
            "every target is up: "
            + ", ".join(f"{each['labels']['job']} {each['lastError']}" for each in self.targets()),
            seconds,
        )

    def wait_for(self, expression: str, seconds: float = 30.0) -> list[Sample]:
        """The vector of `expression` once it is not empty."""
        found: list[Sample] = eventually(
            lambda: self.query(expression), f"{expression} yields something", seconds
        )
        return found

    def alerts(self, state: str = "") -> list[dict[str, Any]]:
        """Active alerts, all or those `pending` or `firing`."""
        found = self.get("/api/v1/alerts").json()["data"]["alerts"]
        return [alert for alert in found if state in ("", alert["state"])]


class RunningAlertmanager(Program):
    """An Alertmanager with the shipped routes."""

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it has received and that are not resolved."""
        found: list[dict[str, Any]] = self.get("/api/v2/alerts").json()
        return found

    def notifications(self, integration: str = "webhook", *, failed: bool = False) -> int:
        """Number of notifications sent by `integration`, from its own metrics."""
        name = "alertmanager_notifications" + ("_failed_total" if failed else "_total")
        pattern = rf'^{name}{{integration="{integration}"}} (\S+)$'
        found = re.search(pattern, self.get("/metrics").text, re.MULTILINE)
        return int(float(found[1])) if found else 0


def with_short_waits(folder: Path, wait: str = "1s") -> list[str]:
    """Copies of the shipped rules in `folder` in which every `for` is at most `wait`; the paths, for a Prometheus in a hurry."""
    written = []
    for path in SHIPPED_RULES:
        rules = yaml.load(path.read_text(), yaml.CSafeLoader)
        for group in rules["groups"]:
            group.pop("interval", None)
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = wait
        target = folder / path.name
        target.write_text(yaml.dump(rules, Dumper=yaml.CSafeDumper, sort_keys=False))
        written.append(str(target))
    return written


def some_key(folder: Path) -> Path:
    """A file with text that stands for an API key."""
    path = folder / "some.key"
    path.write_text("some-key")
    return path


def login_files(folder: Path) -> tuple[Path, Path]:
    """The file of the password of `LOGIN`, and the web configuration that requires it."""
    password, web = folder / "password", folder / "web.yml"
    password.write_text(LOGIN.password)
    web.write_text(web_config(LOGIN, {}))
    return password, web


@contextmanager
def running_prometheus(
    folder: Path,
    targets: Mapping[str, Sequence[str]],
    *,
    alertmanagers: Sequence[str] = (),
    interval: str = "1s",
    rules: Sequence[str] = (RULES,),
    key_file: Path | None = None,
) -> Iterator[RunningPrometheus]:
    """A Prometheus below `folder` that scrapes `targets` (addresses by job) every `interval`, with the shipped rules.

    `key_file`: for services that know keys; the default is for fakes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "prometheus.yml"
    password, web = login_files(folder)
    config.write_text(
        prometheus_config(
            targets,
            alertmanagers,
            key_file=key_file or some_key(folder),
            password_file=password,
            interval=interval,
            rules=rules,
        )
    )
    command = prometheus_command(program(PROMETHEUS), config, folder / "data", HOST, port, web)
    with RunningPrometheus(PROMETHEUS, command, port, folder / "prometheus.log") as running:
        yield running


@contextmanager
def running_alertmanager(
    folder: Path,
    retraining_url: str,
    *,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
    key_file: Path | None = None,
) -> Iterator[RunningAlertmanager]:
    """An Alertmanager below `folder` with the shipped routes and retraining at `retraining_url`; `change` edits the
    configuration before it starts, to shorten its intervals."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings = yaml.safe_load(alertmanager_config(None, retraining_url, key_file or some_key(folder)))
    change(settings)
    config = folder / "alertmanager.yml"
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    _, web = login_files(folder)
    command = alertmanager_command(program(ALERTMANAGER), config, folder / "data", HOST, port, web)
    with RunningAlertmanager(ALERTMANAGER, command, port, folder / "alertmanager.log") as running:
        yield running
