"""The HTTP service: doors, errors and life cycle around the controller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from services.retraining.http.routes import Doors, make_router
from shared.errors import DependencyUnavailable, HomeostatError, InvalidRequest
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)


class Life(Protocol):
    """What lives as long as the service does."""

    def start(self) -> None:
        """Begin background work."""

    def stop(self) -> None:
        """End it, within seconds."""


def make_app(doors: Doors, life: Life, *, maximum_body_bytes: int) -> FastAPI:
    """The application; background work starts and ends with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        life.start()
        try:
            yield
        finally:
            life.stop()

    # The interactive pages would load scripts from the network; /openapi.json says the same.
    app = FastAPI(title="Homeostat retraining", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.include_router(make_router(doors))

    @app.middleware("http")
    async def bounded(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > maximum_body_bytes or "transfer-encoding" in request.headers:
            return problem(413, f"the body must name its length and hold at most {maximum_body_bytes} bytes")
        return await go_on(request)

    @app.exception_handler(HomeostatError)
    async def known(_: Request, error: HomeostatError) -> Response:
        extra: dict[str, Any] = (
            {"field": error.field, "expected": error.expected} if isinstance(error, InvalidRequest) else {}
        )
        answer = problem(error.status, str(error), **extra)
        if isinstance(error, DependencyUnavailable):
            answer.headers["Retry-After"] = "5"
        return answer

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> Response:
        return problem(500, "something broke that should not", error_id=log_unknown_error(_log, error))

    @app.exception_handler(RequestValidationError)
    async def wrong_parameter(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = str(first["loc"][-1])
        return problem(422, f"{field}: {first['msg']}", field=field, expected=first["msg"])

    @app.exception_handler(404)
    async def nowhere(request: Request, _: Exception) -> Response:
        return problem(404, f"there is nothing at {request.url.path}; /openapi.json lists the doors")

    @app.exception_handler(405)
    async def wrong_way(request: Request, _: Exception) -> Response:
        return problem(405, f"{request.method} is not for {request.url.path}; /openapi.json lists the doors")

    return app


def problem(status: int, text: str, **extra: Any) -> Response:
    """An error answer in the form every service uses."""
    return Response(orjson.dumps({"error": text, **extra}), status_code=status, media_type="application/json")
