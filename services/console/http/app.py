"""The console's application: its doors, what every answer carries, and how errors are answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from services.console.http.csrf import check_host
from services.console.http.routes import Doors, make_router
from shared.errors import HomeostatError, InvalidRequest
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)
CARRIED = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def make_app(doors: Doors, names: Collection[str], close: Callable[[], Awaitable[None]]) -> FastAPI:
    """The application for those who come under one of `names`; `close` lets go of everything at the end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await close()

    app = FastAPI(
        title="Homeostat console", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.include_router(make_router(doors))

    @app.middleware("http")
    async def guarded(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            check_host(request.headers.get("host", ""), names)
        except HomeostatError as error:
            answer = problem(error.status, error.message, hint=error.hint)
        else:
            answer = await go_on(request)
        for name, value in CARRIED.items():
            answer.headers.setdefault(name, value)
        # What is no page of ours draws and runs nothing.
        answer.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        return answer

    @app.exception_handler(HomeostatError)
    async def known(_: Request, error: HomeostatError) -> Response:
        wrong = (
            {"field": error.field, "expected": error.expected} if isinstance(error, InvalidRequest) else {}
        )
        return problem(error.status, error.message, hint=error.hint, **wrong)

    @app.exception_handler(HTTPException)
    async def nowhere(request: Request, error: HTTPException) -> Response:
        return problem(error.status_code, f"{request.method} {request.url.path}: {error.detail}")

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> Response:
        return problem(500, "something broke that should not", error_id=log_unknown_error(_log, error))

    return app


def problem(status: int, text: str, **extra: Any) -> Response:
    """An error answer in the form every service uses."""
    told = {name: value for name, value in extra.items() if value}
    return Response(orjson.dumps({"error": text, **told}), status_code=status, media_type="application/json")
