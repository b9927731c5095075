"""What the fast path sends: predictions, or that their rows cannot be logged. Every other error is the ordinary path's. Pure."""

from __future__ import annotations

from typing import NamedTuple

from services.inference.http.error_bodies import in_form_of
from services.inference.http.response import from_error
from services.inference.prediction.full_spool import SpoolFull
from shared.http.errors import error_response
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class Reply(NamedTuple):
    """A body, and the header lines that describe it."""

    body: bytes
    headers: bytes = b"content-type: application/json\r\n"
    status: int = 200


def refusal(error: SpoolFull, path: str) -> Reply:
    """The ordinary path's answer to a request whose rows the full spool dropped.

    That path must not answer it: it would call the model again, and drop and count the rows a second time.
    """
    response = from_error(in_form_of(path, error_response(error, _log, path=path)))
    lines = b"".join(b"%b: %b\r\n" % header for header in response.headers)
    return Reply(response.body, lines, response.status)
