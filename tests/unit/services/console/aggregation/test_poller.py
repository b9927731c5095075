from __future__ import annotations

import asyncio
import os
import socket
import time
from datetime import UTC, datetime

import httpx
from prometheus_client import CollectorRegistry

from services.console.aggregation.poller import Poller, PollRequest, PollResult
from services.console.http.listener_check import check_listener
from services.console.metrics import ConsoleMetrics


def test_key_is_not_sent_to_the_listener_of_another_user() -> None:
    """Whoever takes the port of a stopped service would get a key that reads everything."""
    sent: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("Authorization"))
        return httpx.Response(200, content=b"ok")

    async def problem(user: int, login: str = "") -> str:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        poller = Poller(
            client,
            lambda: datetime.now(UTC),
            time.monotonic,
            ConsoleMetrics(CollectorRegistry()),
            "secret",
            check=lambda base: check_listener(base, {user}),
        )
        asked = PollRequest("drift", base, "/status", lambda body: body, is_ours=not login, login=login)
        return (await poller.poll([asked]))[asked].problem

    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert "the credential was not sent" in asyncio.run(problem(os.geteuid() + 1))
        assert sent == []
        assert asyncio.run(problem(os.geteuid())) == ""
        assert sent == ["Bearer secret"]
        # So would whoever takes the port of Prometheus.
        assert "the credential was not sent" in asyncio.run(problem(os.geteuid() + 1, "Basic eA=="))
        assert asyncio.run(problem(os.geteuid(), "Basic eA==")) == ""
        assert sent == ["Bearer secret", "Basic eA=="]


def test_refused_login_says_what_to_set() -> None:
    async def result(login: str) -> PollResult[bytes]:
        refusing = httpx.MockTransport(lambda _: httpx.Response(401))
        poller = Poller(
            httpx.AsyncClient(transport=refusing),
            lambda: datetime.now(UTC),
            time.monotonic,
            ConsoleMetrics(CollectorRegistry()),
        )
        asked = PollRequest(
            "prometheus", "http://127.0.0.1:1", "/-/ready", lambda body: body, is_ours=False, login=login
        )
        return (await poller.poll([asked]))[asked]

    for login, said in (("", "requires a login"), ("Basic eA==", "does not accept the login")):
        found = asyncio.run(result(login))
        assert said in found.problem
        assert "HOMEOSTAT_MONITORING_PASSWORD_FILE" in found.remedy
