"""BentoML's application with ours behind its methods: the one place that changes what BentoML builds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from _bentoml_impl.server.app import ServiceAppFactory  # type: ignore[import-untyped]
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from services.inference.bento.unread_request import to_starlette
from services.inference.http.response import Asgi
from services.inference.tasks.handlers import Answer, TaskHandlers

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
        """The application. A path that is a method's, with another HTTP method, reaches `rest` too, which answers 405."""
        app: Starlette = super().__call__()
        routes = [
            route for route in app.router.routes if getattr(route, "name", "") not in _PAGE_WITH_TRACKER
        ]
        app.router.routes = [*routes, Mount("/", app=self._rest)]
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
