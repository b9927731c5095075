"""The middleware: refusals before a service sees a request."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.access.api_key import make_key
from shared.access.authenticator import Authenticator
from shared.access.key_file import KeyFile
from shared.access.route_table import RouteTable
from shared.access.scope import Scope
from shared.errors import HomeostatError
from shared.http.access_check import CALLER, AccessCheck


class Service:
    """Records what reaches it; refusals are recorded by their status."""

    def __init__(self, folder: Path) -> None:
        file = KeyFile(folder / "keys.json")
        with file.changing() as keys:
            key, self.text = make_key("ann", frozenset({Scope.READ}), datetime.now(UTC))
            keys[key.key_id] = key
        self.seen: list[MutableMapping[str, Any]] = []
        self.app = AccessCheck(
            self._serve,
            routes=RouteTable.of("retraining"),
            authenticator=Authenticator(file, anonymous=False),
            refuse=self._refuse,
        )
        self.file = file
        self.refused: list[int] = []

    async def _serve(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        self.seen.append(scope)

    def _refuse(self, error: Exception, path: str) -> Any:
        assert isinstance(error, HomeostatError)
        self.refused.append(error.status)

        async def nothing(scope: Any, receive: Any, send: Any) -> None: ...

        return nothing

    def ask(self, method: str, path: str, *credentials: str) -> int:
        """200 if the service saw the request, else the status of the refusal."""
        headers = [(b"authorization", one.encode()) for one in credentials]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        before = len(self.refused)
        asyncio.run(self.app(scope, None, None))  # type: ignore[arg-type]
        return self.refused[-1] if len(self.refused) > before else 200


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def test_public_routes_need_nothing(service: Service) -> None:
    assert service.ask("GET", "/health/ready") == 200
    assert service.ask("GET", "/health/ready", "Bearer wrong") == 200
    assert CALLER not in service.seen[0]


def test_scope_decides(service: Service) -> None:
    key = f"Bearer {service.text}"
    assert service.ask("GET", "/runs", key) == 200
    assert service.seen[0][CALLER].name == "ann"
    assert service.ask("POST", "/runs/run-1/approve", key) == 403
    assert service.ask("GET", "/runs") == 401
    assert service.ask("GET", "/runs", "Bearer wrong") == 401


def test_two_credentials_are_refused(service: Service) -> None:
    key = f"Bearer {service.text}"
    assert service.ask("GET", "/runs", key, key) == 401
    assert service.ask("GET", "/runs", "Bearer wrong", key) == 401


def test_unreadable_keys_admit_nobody(service: Service) -> None:
    service.file.path.write_text("{")
    service.file._looked_at = float("-inf")
    assert service.ask("GET", "/runs", f"Bearer {service.text}") == 503


def test_other_events_pass(service: Service) -> None:
    asyncio.run(service.app({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert [scope["type"] for scope in service.seen] == ["lifespan"]
