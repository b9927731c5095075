"""BentoML's application with ours behind its methods: the one place that changes what BentoML builds."""

from __future__ import annotations

from typing import Any

from _bentoml_impl.server.app import ServiceAppFactory  # type: ignore[import-untyped]
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount

from services.inference.http.app import Asgi

_PAGE_WITH_TRACKER = frozenset({"index", "assets", "static_content"})


class AppFactory(ServiceAppFactory):  # type: ignore[misc]
    """Makes the application of BentoML's own path.

    BentoML's middleware, its methods and its two pages stay; every other path is answered by `rest`: BentoML's start page loads
    a tracker, and its probes do not know whether a model is loaded.
    """

    def __init__(self, service: Any, rest: Asgi, *, is_main: bool) -> None:
        super().__init__(service, is_main=is_main)
        self._rest = rest

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
