"""The application around the routes of a service."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry

from shared.http.host_check import AllowedHosts
from shared.http.json_body import read_json
from shared.http.service_app import make_service_app
from tests.fakes.callers import Everyone


def make_app() -> Any:
    router = APIRouter()

    @router.post("/models/{model}/evaluations")
    async def evaluate(model: str, request: Request) -> Response:
        await read_json(request, maximum_bytes=1000)
        return Response()

    hosts = AllowedHosts.of("127.0.0.1", "", "NAMES")
    return make_service_app(
        "test",
        router,
        service="drift",
        authenticator=Everyone(),
        hosts=hosts,
        is_ready=lambda: True,
        registry=CollectorRegistry(),
    )


def test_client_that_leaves_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/models/toy/evaluations",
        "raw_path": b"/models/toy/evaluations",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    with structlog.testing.capture_logs() as logged:
        asyncio.run(make_app()(scope, receive, send))
    assert statuses[0] == 400
    assert logged == []
