"""Fixtures: the retraining service with an HTTP client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.retraining.bootstrap import build
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_app import SETTINGS, RetrainingApp, TestClient
from tests.fakes.retraining_installation import make_installation


@pytest.fixture
def open_app(tmp_path: Path) -> Iterator[Callable[..., RetrainingApp]]:
    clients: list[TestClient] = []

    def open_one(*, isolated: bool = False, **changes: Any) -> RetrainingApp:
        """`isolated`: each model in a process of its own, as in production; otherwise in this one."""
        installation = make_installation(tmp_path / f"w{len(clients)}", days=15, **changes)
        service = build(installation.settings, SETTINGS, open_model=None if isolated else open_in_process)
        client = TestClient(
            service.app,
            base_url="http://127.0.0.1:8003",
            headers=installation.headers,
            raise_server_exceptions=False,
        )
        client.__enter__()
        clients.append(client)
        return RetrainingApp(installation, service, client)

    yield open_one
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def app(open_app: Callable[..., RetrainingApp]) -> RetrainingApp:
    return open_app()
