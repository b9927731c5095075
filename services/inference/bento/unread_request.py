"""Requests and responses between BentoML's methods and our handlers."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from starlette.responses import FileResponse
from starlette.responses import Response as StarletteResponse

from services.inference.http.body import Receive
from services.inference.http.response import Response

PARQUET = "application/vnd.apache.parquet"
_CLIENT_CLOSED_REQUEST = 499


@dataclass(frozen=True)
class UnreadRequest:
    """An accepted request whose body is not read yet. BentoML calls the method with `model_fields` as arguments."""

    scope: MutableMapping[str, Any]
    receive: Receive
    model_fields: ClassVar[tuple[str, ...]] = ("request",)

    @property
    def request(self) -> UnreadRequest:
        """The argument of the method."""
        return self


def to_starlette(response: Response | Path | None) -> StarletteResponse:
    """A response for BentoML, which sends it as it is; a Parquet file as one; None, where the client is gone, as nothing."""
    if response is None:
        return StarletteResponse(status_code=_CLIENT_CLOSED_REQUEST)
    if isinstance(response, Path):
        return FileResponse(response, media_type=PARQUET, filename=response.name)
    sent = StarletteResponse(response.body, response.status)
    sent.raw_headers = [*response.headers, (b"content-length", b"%d" % len(response.body))]
    return sent
