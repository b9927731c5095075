"""Reads request bodies within a deadline, a size limit per request and a limit for all unfinished bodies."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from services.inference.http.deadlines import Deadlines
from shared.errors import CallerError, HomeostatError, InvalidRequest, OperatorError
from shared.http.json_body import body_too_large

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Headers = Iterable[tuple[bytes, bytes]]


class ClientGone(Exception):
    """The client disconnected before its body was complete; no response is sent."""


class BodyTooSlow(CallerError):
    """The body did not arrive in time."""

    status = 408


class BodyReader:
    """Reads the bodies of all connections of a process, within shared limits."""

    def __init__(self, *, maximum_bytes: int, maximum_buffered_bytes: int, receive_seconds: float) -> None:
        self._maximum = maximum_bytes
        self._maximum_buffered = maximum_buffered_bytes
        self._seconds = receive_seconds
        self._buffered = 0
        self._deadlines = Deadlines(receive_seconds)

    async def read(
        self, headers: Headers, receive: Receive, still_permitted: Callable[[], None] | None = None
    ) -> bytes:
        """The decompressed body. Raises InvalidRequest (413, 400), BodyTooSlow (408), OperatorError (503), ClientGone.

        `still_permitted` is called from time to time while a body is incomplete, and ends it by what it raises.
        """
        encoding = b""
        for name, value in headers:
            # Python refuses to read thousands of digits.
            if name == b"content-length" and value.isdigit() and int(value[:20]) > self._maximum:
                raise self._too_large()
            if name == b"content-encoding":
                encoding = value.strip().lower()
        try:
            with self._deadlines.watch(_is_over(still_permitted)):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                body: bytes = message.get("body", b"")
                if message.get("more_body"):
                    body = await self._rest(body, receive)
                    if still_permitted is not None:
                        still_permitted()
        except TimeoutError:
            if still_permitted is not None:
                still_permitted()
            raise BodyTooSlow(
                f"the body did not arrive within {self._seconds:g} seconds",
                hint="send the body without pauses, or fewer rows per request",
            ) from None
        if len(body) > self._maximum:
            raise self._too_large()
        return self._decompress(body, encoding) if encoding and encoding != b"identity" else body

    async def _rest(self, first: bytes, receive: Receive) -> bytes:
        chunks, size = [first], len(first)
        self._buffered += size
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                chunks.append(chunk)
                size += len(chunk)
                self._buffered += len(chunk)
                if size > self._maximum:
                    raise self._too_large()
                if self._buffered > self._maximum_buffered:
                    raise OperatorError(
                        "the limit for unfinished request bodies is reached",
                        hint="retry after a second, or raise HOMEOSTAT_INFERENCE_MAXIMUM_BUFFERED_BYTES",
                    )
                if not message.get("more_body"):
                    return b"".join(chunks)
        finally:
            self._buffered -= size

    def _decompress(self, body: bytes, encoding: bytes) -> bytes:
        if encoding not in (b"gzip", b"deflate"):
            raise InvalidRequest(
                f"content encoding {encoding.decode('latin-1')[:40]!r} is not supported",
                field="content-encoding",
                expected="gzip, deflate or identity",
                status=415,
            )
        stream = zlib.decompressobj(31 if encoding == b"gzip" else 15)
        try:
            plain = stream.decompress(body, self._maximum + 1)
        except zlib.error as error:
            raise InvalidRequest(
                f"the body is not valid {encoding.decode()}: {error}",
                field="body",
                expected=encoding.decode(),
                status=400,
            ) from error
        if len(plain) > self._maximum:
            raise self._too_large()
        if not stream.eof:
            raise InvalidRequest(
                "the compressed body is truncated", field="body", expected="a complete stream", status=400
            )
        return plain

    def _too_large(self) -> InvalidRequest:
        return body_too_large(self._maximum)


def _is_over(still_permitted: Callable[[], None] | None) -> Callable[[], bool] | None:
    if still_permitted is None:
        return None

    def is_over() -> bool:
        try:
            still_permitted()
        except HomeostatError:
            return True
        return False

    return is_over
