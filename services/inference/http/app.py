"""The ASGI application: finds the handler, reads the body, limits concurrency, and turns errors into responses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from services.inference.http.body import BodyReader, ClientGone, Receive
from services.inference.http.error_bodies import in_form_of
from services.inference.http.request import Request
from services.inference.http.response import Response, Scope, Send, from_error, send_response
from services.inference.metrics import InferenceMetrics
from services.inference.tracing.request_trace import Tracing, current_trace
from shared.errors import CallerError, OperatorError
from shared.http.access_check import CALLER, STILL_PERMITTED
from shared.http.errors import error_response, no_route, wrong_method
from shared.observability.logs import get_logger

_log = get_logger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
Find = Callable[[str, str], Handler | None]


class InferenceApp:
    """Serves every HTTP request except BentoML's own routes."""

    def __init__(
        self,
        routes: Mapping[tuple[str, str], Handler],
        find: Find,
        body: BodyReader,
        metrics: InferenceMetrics,
        *,
        maximum_in_flight: int,
        waiting: Callable[[], int] = lambda: 0,
        tracing: Tracing | None = None,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """`routes`: handlers by method and path. `find`: a handler for other paths, or None.

        `waiting`: requests that wait for the next iteration of the loop only; they do not count against the limit.
        `is_ending`: whether the server stops: it cancels requests that take too long then.
        """
        self._routes = routes
        self._find = find
        self._body = body
        self._metrics = metrics
        self._maximum_in_flight = maximum_in_flight
        self._waiting = waiting
        self._tracing = tracing
        self._is_ending = is_ending
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        response = await self.respond(scope, receive)
        if response is not None:
            await send_response(send, response, head_only=scope["method"] == "HEAD")

    async def respond(self, scope: Scope, receive: Receive) -> Response | None:
        """The response to one request; None if the client is gone."""
        request = Request(scope["method"], scope["path"], scope["headers"])
        request.sender = scope[CALLER].name if CALLER in scope else ""
        trace = None
        if self._tracing is not None and request.method == "POST":
            tracestate = request.header(b"tracestate").decode("latin-1")
            trace = self._tracing.begin("POST", request.path, request.traceparent(), tracestate)
        if trace is None:
            return await self._respond(request, receive, scope.get(STILL_PERMITTED))
        token = current_trace.set(trace)
        try:
            response = await self._respond(request, receive, scope.get(STILL_PERMITTED))
        finally:
            current_trace.reset(token)
        if response is not None:
            trace.end(response.status, request.servable)
        return response

    async def _respond(
        self, request: Request, receive: Receive, still_permitted: Callable[[], None] | None
    ) -> Response | None:
        """1. find the handler   2. read the body, within its deadline and size limit, as long as the sender's key is valid
        3. admit the request; a client that sends slowly does not count against the limit   4. handle it
        """
        method, path = request.method, request.path
        start = time.perf_counter()
        try:
            handler = self._routes.get((method, path)) or self._other(method, path)
            if method == "POST":
                request.body = await self._body.read(request.headers, receive, still_permitted)
                start = time.perf_counter()
            return await self._admitted(handler, request)
        except ClientGone:
            return None
        except asyncio.CancelledError:
            if not self._is_ending():
                raise
            return self._failed(request, _ended_by_the_server(), start)
        except Exception as error:
            return self._failed(request, error, start)

    def _failed(self, request: Request, error: Exception, start: float) -> Response:
        response = from_error(in_form_of(request.path, error_response(error, _log, path=request.path)))
        outcome = "refused" if isinstance(error, CallerError) else "failed"
        self._metrics.failed(request.servable, outcome, response.status, time.perf_counter() - start)
        return response

    def _refuse(self, path: str) -> Handler:
        allowed = [
            method for method in ("GET", "POST") if (method, path) in self._routes or self._find(method, path)
        ]
        if "GET" in allowed:
            allowed.append("HEAD")

        async def not_allowed(request: Request) -> Response:
            response = from_error(in_form_of(path, wrong_method(request.method, path)))
            response.headers += ((b"allow", ", ".join(sorted(allowed)).encode()),)
            return response

        return not_allowed if allowed else _not_found

    async def _admitted(self, handler: Handler, request: Request) -> Response:
        if request.method != "POST":
            return await handler(request)
        maximum = self._maximum_in_flight
        if self._in_flight >= maximum and self._in_flight - self._waiting() >= maximum:
            raise OperatorError(
                f"the server is at its limit of {self._maximum_in_flight} concurrent requests",
                hint="retry after a second; add servers, or raise HOMEOSTAT_INFERENCE_MAXIMUM_IN_FLIGHT",
            )
        self._in_flight += 1
        self._metrics.in_flight += 1
        try:
            return await handler(request)
        finally:
            self._in_flight -= 1
            self._metrics.in_flight -= 1

    def _other(self, method: str, path: str) -> Handler:
        if method == "HEAD":
            return self._routes.get(("GET", path)) or self._other("GET", path)
        return self._find(method, path) or self._refuse(path)


def _ended_by_the_server() -> OperatorError:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    return OperatorError(
        "the server stopped before the request was answered",
        hint="send it again: another server, or this one once it has started again, answers it",
    )


async def _not_found(request: Request) -> Response:
    return from_error(no_route(request.path))
