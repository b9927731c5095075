"""Errors in the form that the clients of a path show to people. Pure.

Everywhere it is `{"error", "hint"?, "field"?, "expected"?, "row"?, "error_id"?}`. Clients of the Open Inference Protocol show
`error` only, so below `/v2` it also says what is expected, or what to do. MLflow has `error_code` and `message`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared.http.errors import ErrorResponse

_MLFLOW_PATHS = frozenset({"/invocations", "/ping", "/health", "/version"})
# The names of MLflow's own errors; every other client error is BAD_REQUEST.
_MLFLOW_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    422: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


def in_form_of(path: str, made: ErrorResponse) -> ErrorResponse:
    """The error response as clients of `path` expect it."""
    if path == "/v2" or path.startswith("/v2/"):
        return replace(made, document=_open_inference(made.document))
    if path in _MLFLOW_PATHS or path.startswith("/endpoints/"):
        return replace(made, document=_mlflow(made.status, made.document))
    return made


def sentence(document: dict[str, Any]) -> str:
    """What is wrong, what was expected, and what to do, in one text."""
    parts = [
        document["error"],
        f"expected {document['expected']}" if document.get("expected") else "",
        document.get("hint", ""),
        f"error_id {document['error_id']}" if document.get("error_id") else "",
    ]
    return "; ".join(part for part in parts if part)


def _open_inference(document: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in document.items() if name != "hint"}
    return rest | {"error": sentence(document)}


def _mlflow(status: int, document: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in document.items() if name not in ("error", "hint")}
    code = _MLFLOW_CODES.get(status, "BAD_REQUEST" if status < 500 else "INTERNAL_ERROR")
    return {"error_code": code, "message": sentence(document), **rest}
