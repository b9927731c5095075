"""Actions are sent to retraining, the credential of the person to nobody else."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import replace

import httpx
import pytest

from services.console.http.action_client import ActionClient, Actor
from services.console.http.listener_check import check_listener
from shared.errors import DependencyUnavailable
from tests.fakes.loop_services import endpoints, full_loop
from tests.unit.services.console.harness import BASE, Console, run

ADA = Actor("ada", "Bearer secret")


def acknowledged(url: str, owners: set[int]) -> tuple[list[str | None], str]:
    """The credentials that were sent, and why none were."""
    sent: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("Authorization"))
        return httpx.Response(200, json={})

    async def act() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            await ActionClient(client, lambda: url, owners).acknowledge("a" * 32, ADA, note="", older={})

    try:
        asyncio.run(act())
    except DependencyUnavailable as refused:
        return sent, refused.message
    return sent, ""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_credential_is_not_sent_to_another_user(host: str) -> None:
    """Any user of the machine may take the port of a stopped service."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert acknowledged(f"http://{host}:{port}", {os.geteuid()}) == (["Bearer secret"], "")
        sent, problem = acknowledged(f"http://{host}:{port}", {os.geteuid() + 1})
        assert sent == []
        assert f"port {port} is served by another user (id {os.geteuid()})" in problem
        # The certificate proves who listens; other machines have other ports.
        assert acknowledged(f"https://{host}:{port}", {os.geteuid() + 1}) == (["Bearer secret"], "")
        assert acknowledged(f"http://10.0.0.1:{port}", {os.geteuid() + 1}) == (["Bearer secret"], "")


def test_credential_may_be_sent_where_nobody_listens_any_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert acknowledged(f"http://127.0.0.1:{port}", {os.geteuid() + 1}) == (["Bearer secret"], "")


def test_report_is_not_requested_from_another_user() -> None:
    """Drift's port, which gets the credential too, is checked as retraining's is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(DependencyUnavailable, match="the credential was not sent"):
            check_listener(url, {os.geteuid() + 1})
        loop = full_loop()

        async def opens() -> httpx.Response:
            one = Console(loop, where=replace(endpoints(BASE), drift=url))
            await one.log_in("ada")
            return await one.http.get("/reports/x/content")

        answer = run(opens)
    assert answer.status_code == 503
    assert "is served by another user" in answer.text
    assert "/drift/reports/x" not in loop.credentials
