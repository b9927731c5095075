"""The FastAPI application: routes, and how errors are answered."""

from __future__ import annotations

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from services.drift.http.routes import Door, make_routes
from shared.errors import HomeostatError, InvalidRequest
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)


def make_app(door: Door) -> FastAPI:
    """The application around `door`. Every error is `{"error": text}`, with `field` and `expected` where one field is wrong."""
    app = FastAPI(title="Homeostat drift", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(make_routes(door))

    @app.exception_handler(HomeostatError)
    async def known(_: Request, error: HomeostatError) -> Response:
        body: dict[str, object] = {"error": str(error)}
        if isinstance(error, InvalidRequest):
            body |= {"field": error.field, "expected": error.expected}
        headers = {"Retry-After": "1"} if error.status == 503 else {}
        return _answer(error.status, body, headers)

    @app.exception_handler(HTTPException)
    async def not_routed(request: Request, error: HTTPException) -> Response:
        return _answer(
            error.status_code, {"error": f"{request.method} {request.url.path}: {error.detail}"}, {}
        )

    @app.exception_handler(Exception)
    async def unknown(_: Request, error: Exception) -> Response:
        return _answer(500, {"error": "internal error", "error_id": log_unknown_error(_log, error)}, {})

    return app


def _answer(status: int, body: dict[str, object], headers: dict[str, str]) -> Response:
    return Response(orjson.dumps(body), status_code=status, headers=headers, media_type="application/json")
