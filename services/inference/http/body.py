"""Reading a request's body: whole, in time, and never more of it than allowed."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from services.inference.http.deadlines import Deadlines
from shared.errors import CallerError, InvalidRequest, OperatorError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Headers = Iterable[tuple[bytes, bytes]]


class ClientGone(Exception):
    """The client hung up before its body was complete; nobody is left to answer."""


class BodyTooSlow(CallerError):
    """The body did not arrive in time."""

    status = 408


class BodyReader:
    """Reads bodies for all connections of a process, within shared bounds."""

    def __init__(self, *, maximum_bytes: int, maximum_buffered_bytes: int, receive_seconds: float) -> None:
        self._maximum = maximum_bytes
        self._maximum_buffered = maximum_buffered_bytes
        self._seconds = receive_seconds
        self._buffered = 0
        self._deadlines = Deadlines(receive_seconds)

    async def read(self, headers: Headers, receive: Receive) -> bytes:
        """The decompressed body. Raises InvalidRequest (413, 400), BodyTooSlow (408), OperatorError (503), ClientGone."""
        encoding = b""
        for name, value in headers:
            if name == b"content-length" and value.isdigit() and int(value) > self._maximum:
                raise self._too_big()
            if name == b"content-encoding":
                encoding = value.strip().lower()
        try:
            with self._deadlines.watch():
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                body: bytes = message.get("body", b"")
                if message.get("more_body"):
                    body = await self._rest(body, receive)
        except TimeoutError:
            raise BodyTooSlow(
                f"the body did not arrive within {self._seconds:g} seconds",
                hint="send it in one go, or send fewer rows at once",
            ) from None
        if len(body) > self._maximum:
            raise self._too_big()
        return self._decompress(body, encoding) if encoding and encoding != b"identity" else body

    async def _rest(self, first: bytes, receive: Receive) -> bytes:
        parts, size = [first], len(first)
        self._buffered += size
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                self._buffered += len(part)
                if size > self._maximum:
                    raise self._too_big()
                if self._buffered > self._maximum_buffered:
                    raise OperatorError(
                        "too many unfinished requests at once",
                        hint="try again in a second, or raise HOMEOSTAT_INFERENCE_MAXIMUM_BUFFERED_BYTES",
                    )
                if not message.get("more_body"):
                    return b"".join(parts)
        finally:
            self._buffered -= size

    def _decompress(self, body: bytes, encoding: bytes) -> bytes:
        if encoding not in (b"gzip", b"deflate"):
            raise InvalidRequest(
                f"content encoding {encoding.decode('latin-1')[:40]!r} is not known",
                field="content-encoding",
                expected="gzip, deflate or identity",
                status=415,
            )
        stream = zlib.decompressobj(31 if encoding == b"gzip" else 15)
        try:
            plain = stream.decompress(body, self._maximum + 1)
        except zlib.error as error:
            raise InvalidRequest(
                f"the body is not {encoding.decode()}: {error}",
                field="body",
                expected=encoding.decode(),
                status=400,
            ) from error
        if len(plain) > self._maximum:
            raise self._too_big()
        if not stream.eof:
            raise InvalidRequest(
                "the compressed body is cut short", field="body", expected="a whole stream", status=400
            )
        return plain

    def _too_big(self) -> InvalidRequest:
        return InvalidRequest(
            f"the body is larger than {self._maximum} bytes",
            field="body",
            expected=f"at most {self._maximum} bytes",
            status=413,
        )
