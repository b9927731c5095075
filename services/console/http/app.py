"""The FastAPI application of the console, and the security headers of every response."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from services.console.http.login_routes import LOGIN
from services.console.http.routes import Dependencies, make_router
from shared.access.caller import Unauthenticated
from shared.http.host_check import AllowedHosts
from shared.http.service_app import make_service_app, refusal

SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def make_app(
    dependencies: Dependencies, hosts: AllowedHosts, close: Callable[[], Awaitable[None]]
) -> FastAPI:
    """The application; `close` is called at shutdown."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await close()

    app = make_service_app(
        "Homeostat console",
        make_router(dependencies),
        service="console",
        authenticator=dependencies.logins.authenticator,
        identify=dependencies.logins.access.identify,
        is_delegate=lambda name: dependencies.aggregator.is_delegate(name),
        refuse_access=_refuse,
        hosts=hosts,
        is_ready=lambda: True,
        registry=dependencies.metrics.registry,
        lifespan=lifespan,
        openapi_url="/openapi.json",
    )

    @app.middleware("http")
    async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        route = getattr(request.scope.get("route"), "path", "none")
        dependencies.metrics.requests.labels(route, str(response.status_code)).inc()
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        # Responses other than pages must neither load nor run anything.
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        return response

    return app


def _refuse(error: Exception, path: str) -> Response:
    """A person who opens a page is sent to the login; what the page or a program requests gets the error."""
    is_page = path == "/" or (path.startswith("/reports/") and not path.endswith("/content"))
    if is_page and isinstance(error, Unauthenticated):
        return RedirectResponse(LOGIN, 303)
    return refusal(error, path)
