"""What a door answers: a status, headers and bytes; and the one form every error takes, `{"error": …}`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from shared.errors import HomeostatError, InvalidRequest

Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")


@dataclass(slots=True)
class Answer:
    """An HTTP answer, whole."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = (JSON,)


def json_answer(document: object, status: int = 200) -> Answer:
    """A JSON document as an answer."""
    return Answer(status, orjson.dumps(document))


def error_answer(error: HomeostatError) -> Answer:
    """The answer to an error somebody can act on; names the field, the row and what was expected where it knows them."""
    document: dict[str, Any] = {"error": str(error)}
    if isinstance(error, InvalidRequest):
        document |= {"field": error.field, "expected": error.expected}
        if error.row is not None:
            document["row"] = error.row
    headers = (JSON, (b"retry-after", b"1")) if error.status == 503 else (JSON,)
    return Answer(error.status, orjson.dumps(document), headers)


def unknown_error_answer(error_id: str) -> Answer:
    """The answer to an error nobody foresaw: a fixed text and the id that stands in the log."""
    return json_answer({"error": f"internal error {error_id}; the log has the details under this id"}, 500)
