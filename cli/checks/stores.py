"""What retraining keeps elsewhere: the ledger on Postgres, the mirror on MLflow, where they are set."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from cli.checks.check_result import Finding
from cli.checks.http_client import TIMEOUT_S, ask_text
from local_stack.settings import LocalStackSettings
from shared.errors import DependencyUnavailable

POSTGRES_PORT = 5432


def ledger(settings: LocalStackSettings) -> Iterator[Finding]:
    """Whether the ledger's Postgres can be reached; that retraining can work with it is its own readiness."""
    url = settings.retraining_ledger
    if not url.startswith("postgres"):
        yield Finding("postgres", "off", "the ledger is SQLite")
        return
    place = urlsplit(url)
    host, port = place.hostname or "127.0.0.1", place.port or POSTGRES_PORT
    try:
        socket.create_connection((host, port), timeout=TIMEOUT_S).close()
    except OSError as error:
        yield Finding(
            "postgres", "failure", f"{host}:{port}: {error}", f"pg_isready --host {host} --port {port}"
        )
    else:
        yield Finding("postgres", "ok", f"{host}:{port} accepts connections")


def mlflow(settings: LocalStackSettings) -> Iterator[Finding]:
    """Whether the MLflow server answers. Nothing waits for it, so its absence is a warning."""
    url = settings.retraining_mlflow_uri
    if not url.startswith(("http://", "https://")):
        yield Finding("mlflow", "off", "the mirror is a local file")
        return
    try:
        ask_text("MLflow", url, "/health")
    except DependencyUnavailable as error:
        yield Finding("mlflow", "warning", error.message, f"curl {url.rstrip('/')}/health")
    else:
        yield Finding("mlflow", "ok", f"answers at {url}")
