"""HTTP errors in one form for every service: `{"error": …, "hint"?: …, "error_id"?: …}`.

1. An error of the tree in shared/errors.py has its own status, message and hint; a wrong field also `field`, `expected`, `row`;
   a 503 about some rows of the request only, `rows`.
2. Every other error is 500 with a fixed text. Its `error_id` is in the log, next to the traceback.
3. Every 503 and 429 has a `Retry-After`: one second, or what the error says (`retry_after_s`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog

from shared.errors import CallerError, HomeostatError, InvalidRequest, OperatorError, RowsNotReady
from shared.observability.logs import log_unknown_error

RETRY_AFTER_S: Final = 1
# How OpenAPI documents describe every response with an error.
DESCRIBED: Final[dict[str, Any]] = {
    "description": "An error: what is wrong, and what to do next.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {
                    "error": {"type": "string"},
                    "hint": {"type": "string"},
                    "field": {"type": "string"},
                    "expected": {"type": "string"},
                    "row": {"type": "integer"},
                    "rows": {"type": "array", "items": {"type": "integer"}},
                    "error_id": {"type": "string"},
                },
            }
        }
    },
}
UNKNOWN_ERROR: Final = "internal error: the log of this service has the details under this error_id"


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """Status, JSON body and extra headers of an error response."""

    status: int
    document: dict[str, Any]
    retry_after_s: int = RETRY_AFTER_S

    @property
    def body(self) -> bytes:
        """The document as JSON."""
        return orjson.dumps(self.document)

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` where the client should try again; `Connection: close` after 408 (RFC 9110, 15.5.9);
        `WWW-Authenticate` with 401 (RFC 6750, 3)."""
        special = {
            401: {"WWW-Authenticate": 'Bearer realm="homeostat"'},
            408: {"Connection": "close"},
        }
        return special.get(self.status) or retry_after(self.status, self.retry_after_s)


def error_response(error: Exception, log: structlog.stdlib.BoundLogger, *, path: str = "") -> ErrorResponse:
    """The response to an error. Logs those that a caller cannot fix: all but client errors and operator errors."""
    if not isinstance(error, HomeostatError):
        return ErrorResponse(500, {"error": UNKNOWN_ERROR, "error_id": log_unknown_error(log, error)})
    if not isinstance(error, CallerError | OperatorError):
        log.error("request_failed", path=path, problem=str(error))
    document: dict[str, Any] = {"error": error.message}
    if error.hint:
        document["hint"] = error.hint
    if isinstance(error, InvalidRequest):
        document |= {"field": error.field, "expected": error.expected}
        if error.row is not None:
            document["row"] = error.row
    if isinstance(error, RowsNotReady):
        document["rows"] = list(error.rows)
    return ErrorResponse(error.status, document, getattr(error, "retry_after_s", RETRY_AFTER_S))


def no_route(path: str) -> ErrorResponse:
    """The response for a path that the service does not have."""
    return ErrorResponse(404, {"error": f"there is no route {path[:200]}"})


def wrong_method(method: str, path: str) -> ErrorResponse:
    """The response for a route that exists, but not for this method."""
    return ErrorResponse(405, {"error": f"method {method[:20]} is not allowed for {path[:200]}"})


def retry_after(status: int, seconds: int = RETRY_AFTER_S) -> dict[str, str]:
    """The `Retry-After` header of a status: for 429 and 503."""
    return {"Retry-After": str(seconds)} if status in (429, 503) else {}
