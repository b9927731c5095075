"""The ASGI application: finds the door, reads the body, admits the request, and turns errors into answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from services.inference.http.body import BodyReader, ClientGone, Receive
from services.inference.http.request import Request
from services.inference.http.response import Answer, from_error
from services.inference.metrics import InferenceMetrics
from shared.errors import CallerError, OperatorError
from shared.http.errors import error_response, no_route, wrong_method
from shared.observability.logs import get_logger

_log = get_logger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Door = Callable[[Request], Awaitable[Answer]]
Find = Callable[[str, str], Door | None]


class InferenceApp:
    """Answers every HTTP request of the service."""

    def __init__(
        self,
        routes: Mapping[tuple[str, str], Door],
        find: Find,
        body: BodyReader,
        metrics: InferenceMetrics,
        *,
        maximum_in_flight: int,
    ) -> None:
        """`routes`: doors by method and path. `find`: a door for other paths, or None."""
        self._routes = routes
        self._find = find
        self._body = body
        self._metrics = metrics
        self._maximum_in_flight = maximum_in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        1. find the door    2. read the whole body, in time and in bounds    3. admit: a slow sender never holds a place
        4. answer    5. send
        """
        method, path = scope["method"], scope["path"]
        request = Request(method, path, scope["headers"])
        start = time.perf_counter()
        try:
            door = self._routes.get((method, path)) or self._other(method, path)
            if method == "POST":
                request.body = await self._body.read(request.headers, receive)
                start = time.perf_counter()
            answer = await self._admitted(door, request)
        except ClientGone:
            return
        except Exception as error:
            answer = from_error(error_response(error, _log, path=path))
            outcome = "refused" if isinstance(error, CallerError) else "failed"
            self._metrics.failed(request.held, outcome, answer.status, time.perf_counter() - start)
        await _send(send, answer, head_only=method == "HEAD")

    def _refuse(self, path: str) -> Door:
        allowed = sorted({known for known, at in self._routes if at == path})

        async def not_allowed(request: Request) -> Answer:
            answer = from_error(wrong_method(request.method, path))
            answer.headers += ((b"allow", ", ".join(allowed).encode()),)
            return answer

        return not_allowed if allowed else _not_found

    async def _admitted(self, door: Door, request: Request) -> Answer:
        if request.method != "POST":
            return await door(request)
        if self._in_flight >= self._maximum_in_flight:
            raise OperatorError(
                f"{self._in_flight} requests are being answered already",
                hint="try again in a second; more servers take more load",
            )
        self._in_flight += 1
        self._metrics.in_flight = self._in_flight
        try:
            return await door(request)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight = self._in_flight

    def _other(self, method: str, path: str) -> Door:
        if method == "HEAD":
            return self._routes.get(("GET", path)) or self._other("GET", path)
        return self._find(method, path) or self._refuse(path)


async def _not_found(request: Request) -> Answer:
    return from_error(no_route(request.path))


async def _send(send: Send, answer: Answer, *, head_only: bool) -> None:
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head_only else answer.body})
