"""The FastAPI application of a service: its routes, health routes, host check and error responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shared.access.authenticator import Authenticator
from shared.access.route_table import RouteTable
from shared.errors import HomeostatError, InvalidRequest
from shared.http import health
from shared.http.access_check import AccessCheck, Identify, IsDelegate
from shared.http.errors import DESCRIBED, ErrorResponse, error_response, no_route, wrong_method
from shared.http.host_check import AllowedHosts, HostCheck
from shared.http.refused_access import RefusedAccess
from shared.http.responses import json_response
from shared.observability.logs import get_logger

_log = get_logger(__name__)


def make_service_app(
    title: str,
    routes: APIRouter,
    *,
    service: str,
    authenticator: Authenticator,
    hosts: AllowedHosts,
    is_ready: Callable[[], bool],
    registry: CollectorRegistry,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
    openapi_url: str | None = None,
    identify: Identify | None = None,
    is_delegate: IsDelegate | None = None,
    refuse_access: Callable[[Exception, str], Response] | None = None,
) -> FastAPI:
    """The application of `service`, as the table of routes names it. Raises RuntimeError for a route that is not in the table.

    `identify` finds the caller of a request, by default by its `Authorization` header; `is_delegate` is that of `AccessCheck`;
    `refuse_access` makes the response to one that is not let in, by default an error in JSON. Refusals are counted on `registry`.

    The interactive documentation pages are off: they load scripts from the network.
    """
    app = FastAPI(title=title, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=openapi_url)
    routers = (health_routes(is_ready), routes)
    found = routes_of(app, *routers)
    for router in routers:
        app.include_router(router, responses={"default": DESCRIBED})
    table = RouteTable.of(service)
    table.check_complete(found)
    # The last one added sees a request first.
    app.add_middleware(
        AccessCheck,
        routes=table,
        authenticator=authenticator,
        refuse=refuse_access or refusal,
        identify=identify,
        is_delegate=is_delegate,
        on_refused=RefusedAccess(registry).count,
    )
    app.add_middleware(HostCheck, hosts=hosts, refuse=refusal)

    @app.exception_handler(HTTPException)
    async def not_routed(request: Request, error: HTTPException) -> Response:
        path = request.url.path
        if error.status_code == 404:
            return _response(no_route(path))
        if error.status_code == 405:
            return _response(wrong_method(request.method, path), error.headers)
        return _response(ErrorResponse(error.status_code, {"error": error.detail}), error.headers)

    @app.exception_handler(RequestValidationError)
    async def wrong_parameter(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        wrong = InvalidRequest(f"{field}: {first['msg']}", field=field, expected=first["msg"])
        return refusal(wrong, request.url.path)

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: ClientDisconnect) -> Response:
        # Nobody receives this, and nobody has to be told of an error.
        return Response(status_code=400)

    @app.exception_handler(HomeostatError)
    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return _response(error_response(error, _log, path=request.url.path))

    return app


def routes_of(*routers: FastAPI | APIRouter) -> set[tuple[str, str]]:
    """Method and path of every route, without HEAD."""
    return {
        (method, str(getattr(route, "path", "")))
        for router in routers
        for route in router.routes
        for method in (getattr(route, "methods", None) or {"mounted"})
        if method != "HEAD"
    }


def refusal(error: Exception, path: str) -> Response:
    """The response to an error, in JSON."""
    return _response(error_response(error, _log, path=path))


def _response(made: ErrorResponse, headers: Mapping[str, str] | None = None) -> Response:
    response = json_response(made.document, made.status)
    response.headers.update(made.headers | dict(headers or {}))
    return response


def health_routes(is_ready: Callable[[], bool]) -> APIRouter:
    """`/health/live` and `/health/ready`. `is_ready` must not block."""
    routes = APIRouter()

    # On the event loop: they must answer while the threads are busy.
    @routes.get("/health/live")
    async def live() -> Response:
        """The process is running."""
        return json_response(health.live())

    @routes.get("/health/ready")
    async def ready() -> Response:
        """200 if the service can do its work, 503 if not."""
        return json_response(*health.ready(is_ready()))

    return routes
