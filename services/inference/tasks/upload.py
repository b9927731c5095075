"""Reads the form that a file is sent in, within limits of size and time."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from services.inference.http.body import BodyTooSlow, ClientGone, Receive
from services.inference.tasks.record import FileOptions
from shared.errors import InvalidRequest
from shared.http.json_body import body_too_large

_FIELDS = ("model", "event_time", "event_time_column")


@dataclass(frozen=True)
class Upload:
    """An uploaded file, not yet in its place, and how it is to be scored."""

    options: FileOptions
    move: Callable[[Path], None]


class UploadReader:
    """Reads forms of at most `maximum_bytes`. No pause in the body may be longer than `receive_seconds`."""

    def __init__(self, *, maximum_bytes: int, receive_seconds: float) -> None:
        self._maximum = maximum_bytes
        self._seconds = receive_seconds

    async def read(self, scope: MutableMapping[str, Any], receive: Receive) -> Upload:
        """The form. Raises InvalidRequest, BodyTooSlow, ClientGone."""
        request = Request(scope, self._bounded(receive))
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise InvalidRequest(
                "the body is not a form",
                field="content-type",
                expected="multipart/form-data with the part `file`",
                status=415,
            )
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > self._maximum:
            raise body_too_large(self._maximum)
        try:
            form = await request.form(max_files=1, max_fields=len(_FIELDS))
        except ClientDisconnect:
            raise ClientGone from None
        except MultiPartException as error:
            raise _malformed(error.message) from error
        except InvalidRequest:
            raise
        except Exception as error:
            # Starlette turns errors of the parser into its own kind of response.
            detail = getattr(error, "detail", None)
            if detail is None:
                raise
            raise _malformed(str(detail)) from error
        return _upload(form)

    def _bounded(self, receive: Receive) -> Receive:
        received = 0

        async def next_part() -> MutableMapping[str, Any]:
            nonlocal received
            try:
                message = await asyncio.wait_for(receive(), self._seconds)
            except TimeoutError:
                raise BodyTooSlow(
                    f"the next part of the body did not arrive within {self._seconds:g} seconds",
                    hint="send the body without pauses",
                ) from None
            received += len(message.get("body", b""))
            if received > self._maximum:
                raise body_too_large(self._maximum)
            return message

        return next_part


def _upload(form: FormData) -> Upload:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise InvalidRequest(
            "the form has no file", field="file", expected="a Parquet file as the part `file`", status=400
        )
    for name in sorted(set(form) - {"file", *_FIELDS}):
        raise InvalidRequest(
            f"unknown field {name[:80]!r}",
            field=name[:80],
            expected="only `file`, `model`, `event_time` and `event_time_column`",
            status=400,
        )
    options = FileOptions(**{name: _text(form.get(name), name) for name in _FIELDS})
    if options.event_time is not None and options.event_time_column is not None:
        raise InvalidRequest(
            "`event_time` and `event_time_column` are both given",
            field="event_time",
            expected="one time for every row, or the column that holds one per row",
        )

    def move(path: Path) -> None:
        with file.file as source, path.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)

    return Upload(options, move)


def _text(value: UploadFile | str | None, name: str) -> str | None:
    """BentoML's clients send JSON in form fields, other clients the text itself."""
    if value is None or value == "null":
        return None
    if not isinstance(value, str):
        raise InvalidRequest(f"`{name}` is a file", field=name, expected="text", status=400)
    if value.startswith('"'):
        try:
            decoded = json.loads(value)
        except ValueError:
            return value
        return decoded if isinstance(decoded, str) else value
    return value


def _malformed(problem: str) -> InvalidRequest:
    return InvalidRequest(
        f"the form cannot be read: {problem[:200]}",
        field="body",
        expected="multipart/form-data with the part `file`",
        status=400,
    )
