"""JSON responses of FastAPI services."""

from __future__ import annotations

import orjson
from fastapi import Response


def json_response(body: object, status: int = 200) -> Response:
    """The body as JSON. NaN and infinity become null."""
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")
