"""The JSON body of a request, as an argument of a route."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from shared.http.json_body import read_json


async def _document(request: Request) -> Any:
    return await read_json(request, maximum_bytes=request.app.state.maximum_body_bytes)


Document = Annotated[Any, Depends(_document)]
