"""The ledger on Postgres and the tracking server MLflow, if they are configured."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from cli.checks.check_result import CheckResult
from cli.checks.http_client import TIMEOUT_S, get_text
from local_stack.settings import LocalStackSettings
from shared.errors import DependencyUnavailable

POSTGRES_PORT = 5432


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
    """Whether the MLflow server responds. No service depends on it, so its absence is a warning."""
    url = settings.retraining_mlflow_uri
    if not url.startswith(("http://", "https://")):
        yield CheckResult("mlflow", "off", "MLflow tracking uses a local file")
        return
    try:
        get_text("MLflow", url, "/health")
    except DependencyUnavailable as error:
        yield CheckResult("mlflow", "warning", error.message, f"curl {url.rstrip('/')}/health")
    else:
        yield CheckResult("mlflow", "ok", f"responds at {url}")
