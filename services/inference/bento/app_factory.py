"""BentoML's application with ours behind its methods: the one place that changes what BentoML builds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from _bentoml_impl.server.app import ServiceAppFactory  # type: ignore[import-untyped]
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from services.inference.bento.unread_request import to_starlette
from services.inference.http.response import Asgi
from services.inference.tasks.handlers import Answer, TaskHandlers
from shared.http.errors import wrong_method

TASKS = "/score_file/"
_PAGE_WITH_TRACKER = frozenset({"index", "assets", "static_content"})


class AppFactory(ServiceAppFactory):  # type: ignore[misc]
    """Makes the application of BentoML's own path.

    BentoML's middleware, its methods and its two pages stay; every other path is answered by `rest`: BentoML's start page loads
    a tracker, and its probes do not know whether a model is loaded.
    """

    def __init__(self, service: Any, rest: Asgi, tasks: Callable[[], TaskHandlers], *, is_main: bool) -> None:
        """`tasks`: the handlers of tasks, which are made when the server starts."""
        super().__init__(service, is_main=is_main)
        self._rest = rest
        self._tasks = tasks

    def __call__(self) -> Starlette:
        """The application. Another HTTP method is answered with 405: on a path of tasks here, on any other by `rest`."""
        app: Starlette = super().__call__()
        routes = [
            route for route in app.router.routes if getattr(route, "name", "") not in _PAGE_WITH_TRACKER
        ]
        app.router.routes = [*routes, *_refusals(routes), Mount("/", app=self._rest)]
        return app

    def get_system_routes(self, path_prefix: str = "") -> list[BaseRoute]:
        """None: `rest` has health and metrics."""
        return []

    # BentoML's own tasks are for development: they cannot be canceled, and a restart of the server removes them.

    async def submit_task(self, name: str, request: Request) -> Response:
        """`POST /score_file/submit`."""
        return self._named(await self._tasks().submit(request.scope, request.receive))

    async def get_status(self, request: Request) -> Response:
        """`GET /score_file/status`."""
        return self._named(await self._tasks().status(request.query_params.get("task_id")))

    async def get_result(self, request: Request) -> Response:
        """`GET /score_file/get`."""
        partial = request.query_params.get("partial", "").lower() in ("1", "true")
        return self._named(await self._tasks().result(request.query_params.get("task_id"), partial=partial))

    async def retry_task(self, request: Request) -> Response:
        """`POST /score_file/retry`."""
        return self._named(await self._tasks().retry(request.query_params.get("task_id")))

    async def cancel_task(self, request: Request) -> Response:
        """`PUT /score_file/cancel`."""
        return self._named(await self._tasks().cancel(request.query_params.get("task_id")))

    def _named(self, answer: Answer) -> Response:
        response = to_starlette(answer)
        self._add_response_headers(response)
        return response


def _refusals(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """Routes that answer 405 on the paths of tasks, which `rest` does not have."""
    methods: dict[str, set[str]] = {}
    for route in routes:
        if isinstance(route, Route) and route.path.startswith(TASKS):
            methods.setdefault(route.path, set()).update(route.methods or ())
    for path, allowed in methods.items():
        yield Route(path, WrongMethod(path, ", ".join(sorted(allowed))))


class WrongMethod:
    """An ASGI application that answers 405: as the endpoint of a route it receives every method."""

    def __init__(self, path: str, allowed: str) -> None:
        self._path = path
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        made = wrong_method(scope["method"], self._path)
        response = Response(
            made.body, made.status, {"allow": self._allowed, "content-type": "application/json"}
        )
        await response(scope, receive, send)
