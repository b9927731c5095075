"""The ledger on Postgres and the tracking server MLflow, if they are configured."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from cli.checks.check_result import CheckResult
from cli.checks.http_client import TIMEOUT_S, get_text
from local_stack.addresses import addresses
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.lock import is_supervised
from shared.errors import DependencyUnavailable, HomeostatError

POSTGRES_PORT = 5432
CONNECTED = "connected"


def ledger(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """Whether the ledger's Postgres accepts connections."""
    url = settings.retraining_ledger
    if not url.startswith("postgres"):
        yield CheckResult("postgres", "off", "the ledger is SQLite")
        return
    address = urlsplit(url)
    host, port = address.hostname or "127.0.0.1", address.port or POSTGRES_PORT
    try:
        socket.create_connection((host, port), timeout=TIMEOUT_S).close()
    except OSError as error:
        yield CheckResult(
            "postgres", "failure", f"{host}:{port}: {error}", f"pg_isready --host {host} --port {port}"
        )
    else:
        yield CheckResult("postgres", "ok", f"{host}:{port} accepts connections")


def mlflow(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """MLflow tracking as retraining reports it, and its server if it has one. No service depends on it: problems are warnings."""
    state = _tracking_state(settings)
    url = settings.retraining_mlflow_uri
    has_server = url.startswith(("http://", "https://"))
    if state == "off":
        yield CheckResult("mlflow", "off", "retraining does not send to MLflow (HOMEOSTAT_RETRAINING_MLFLOW)")
        return
    if state not in ("", CONNECTED):
        yield CheckResult("mlflow", "warning", state, f"less {settings.home / 'logs' / 'retraining.log'}")
        return
    if not state and not has_server:
        yield CheckResult("mlflow", "off", "tracking uses a local file, and retraining does not run")
        return
    try:
        if has_server:
            get_text("MLflow", url, "/health")
    except DependencyUnavailable as error:
        yield CheckResult("mlflow", "warning", error.message, f"curl {url.rstrip('/')}/health")
    else:
        yield CheckResult("mlflow", "ok", f"responds at {url}" if has_server else "retraining is connected")


def _tracking_state(settings: LocalStackSettings) -> str:
    """`mlflow` of retraining's `/status`, which the console shows too; empty if retraining does not run or cannot be reached."""
    if not (settings.retraining_url or is_supervised(settings.home)):
        return ""
    try:
        return str(addresses(settings).client("retraining", timeout_s=TIMEOUT_S).get("/status")["mlflow"])
    except (HomeostatError, KeyError, TypeError):
        return ""
