"""The ASGI application: finds the door, reads the body, admits the request, and turns errors into answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from services.inference.http.body import BodyReader, ClientGone, Receive
from services.inference.http.request import Request
from services.inference.http.response import Answer, error_answer, json_answer, unknown_error_answer
from services.inference.metrics import InferenceMetrics
from shared.errors import CallerError, HomeostatError, OperatorError
from shared.observability.logs import get_logger, log_unknown_error

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
        self._paths = {path for _, path in routes}
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
        except HomeostatError as error:
            answer = error_answer(error)
            self._count(request, "refused" if isinstance(error, CallerError) else "failed", answer, start)
            if not isinstance(error, CallerError | OperatorError):
                _log.error("request_failed", path=path, problem=str(error))
        except Exception as error:
            answer = unknown_error_answer(log_unknown_error(_log, error))
            self._count(request, "failed", answer, start)
        await _send(send, answer, head_only=method == "HEAD")

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
        return self._find(method, path) or (_wrong_method if path in self._paths else _not_found)

    def _count(self, request: Request, outcome: str, answer: Answer, start: float) -> None:
        self._metrics.failed(request.held, outcome, answer.status, time.perf_counter() - start)


async def _not_found(request: Request) -> Answer:
    return json_answer(
        {"error": f"there is nothing at {request.path[:200]}; /status shows what is served"}, 404
    )


async def _wrong_method(request: Request) -> Answer:
    return json_answer({"error": f"{request.path} does not take {request.method[:20]}"}, 405)


async def _send(send: Send, answer: Answer, *, head_only: bool) -> None:
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head_only else answer.body})
