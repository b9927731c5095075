"""Routes for people, probes and Prometheus: `/health/live`, `/health/ready`, `/metrics`, `/status`."""

from __future__ import annotations

import asyncio
from typing import cast

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from services.inference.http.request import Request
from services.inference.http.response import Response, json_response
from services.inference.status.page import CONTENT_SECURITY_POLICY, render_status
from services.inference.status.report import Status
from services.inference.workers.peers import Peers
from shared.http import health

_HTML = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class OperationsHandler:
    """Handles the operational routes."""

    def __init__(self, status: Status, peers: Peers) -> None:
        self._status = status
        self._peers = peers

    async def live(self, request: Request) -> Response:
        """The process is running."""
        return json_response(health.live())

    async def ready(self, request: Request) -> Response:
        """200 if every worker has loaded the released models, or those that can be loaded; 503 before, and if none is."""
        return json_response(*health.ready(self._status.ready()))

    async def metrics(self, request: Request) -> Response:
        """Metrics of all workers in Prometheus text format."""
        return Response(
            200,
            # On a thread: there may be many series. It takes anything that collects.
            await asyncio.to_thread(generate_latest, cast(CollectorRegistry, self._peers)),
            ((b"content-type", CONTENT_TYPE_PLAIN_0_0_4.encode()),),
        )

    async def status(self, request: Request) -> Response:
        """The status page; JSON for `/status.json`, or if the client accepts JSON."""
        report = self._status.report()
        if request.path.endswith(".json") or b"application/json" in request.header(b"accept"):
            return json_response(report)
        return Response(200, render_status(report).encode(), _HTML)

    async def home(self, request: Request) -> Response:
        """Redirects to the status page."""
        return Response(307, b"", ((b"location", b"/status"),))
