"""The size of a request's headers: uvicorn's parser keeps headers of any size until they are complete."""

from __future__ import annotations

import asyncio

from shared.http.connections import HEADER_BYTES

SLOW_HEADERS = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
LARGE_HEADERS = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)


class HeaderLimit:
    """Counts the bytes of the headers of one connection, from the second part of them on: the first may hold other requests."""

    def __init__(self) -> None:
        self._bytes: int | None = None

    def is_exceeded(self, part: int, *, due: bool) -> bool:
        """Whether headers that are still `due` after a part of so many bytes are too large."""
        if not due:
            self._bytes = None
            return False
        self._bytes = 0 if self._bytes is None else self._bytes + part
        return self._bytes > HEADER_BYTES


def refuse(transport: asyncio.Transport, answer: bytes) -> None:
    """Send an answer and close the connection."""
    transport.write(answer)
    transport.close()


def abort(transport: asyncio.Transport) -> bool:
    """Close a connection at once; False if it is closing already."""
    if transport.is_closing():
        return False
    transport.abort()
    return True
