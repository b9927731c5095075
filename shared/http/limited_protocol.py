"""uvicorn's HTTP/1.1 protocol within limits: headers and bodies have a deadline, headers a size, connections a number.

uvicorn itself waits for ever for the rest of a request, and for a client that does not read its response.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.http.connections import Connections, stop_answering

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_MALFORMED = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"content-length: 30\r\n\r\nInvalid HTTP request received."
)
# A connection that is closed before everything that was sent has been read is reset, and the client may lose the answer.
_REST_BYTES = 1 << 20
_REST_SECONDS = 1.0


class LimitedProtocol(H11Protocol):
    """One connection. `limited` makes the class for a listener."""

    open_connections: ClassVar[Connections]
    connected_at = (
        0.0  # when the TLS handshake began, which is part of the first request's time; 0 without TLS
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = self.open_connections.limits
        self._request_due: asyncio.TimerHandle | None = None
        self._reading_due: asyncio.TimerHandle | None = None
        self._rest: int | None = None  # bytes of a refused request that are still read; None before one is

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it; its first request is due."""
        super().connection_made(transport)
        self._check()
        self.open_connections.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self.open_connections.closed(self)
        for timer in (self._request_due, self._reading_due):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the client. What follows a malformed request is read, up to a limit, and dropped."""
        if self._rest is not None:
            self._rest -= len(data)
            if self._rest < 0:
                self.abort()
            return
        super().data_received(data)
        self._check()

    def on_response_complete(self) -> None:
        """A response is sent; the next request, if there will be one, is due."""
        super().on_response_complete()
        self._check()

    def send_400_response(self, msg: str) -> None:
        """Answer malformed bytes. The application may be answering the request that they belong to: only one answer is sent."""
        if stop_answering(self.cycle) and self.cycle.response_started:
            self.transport.close()
            return
        self.transport.write(_MALFORMED)
        if not self.transport.can_write_eof():  # TLS
            self.transport.close()
            return
        self.transport.write_eof()
        self._rest = _REST_BYTES
        self.loop.call_later(_REST_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        """The client does not read its response."""
        super().pause_writing()
        self._reading_due = self.loop.call_later(self._limits.write_seconds, self.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        if self._reading_due is not None:
            self._reading_due.cancel()
            self._reading_due = None

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def _check(self) -> None:
        """Start or stop the deadline. Further bytes of an unfinished request do not move it."""
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self.open_connections.receiving(self)
            if self._request_due is None:
                begun, self.connected_at = self.connected_at or self.loop.time(), 0.0
                self._request_due = self.loop.call_at(begun + self._limits.receive_seconds, self._close_slow)
        else:
            self.open_connections.received(self)
            if self._request_due is not None:
                self._request_due.cancel()
                self._request_due = None

    def _close_slow(self) -> None:
        is_answered = self.cycle is not None and self.cycle.response_started
        has_begun = self.conn.their_state is h11.SEND_BODY or bool(self.conn.trailing_data[0])
        if has_begun and not is_answered and not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
        self.transport.close()
        # A client that does not read keeps even a closed connection open.
        self.loop.call_later(1.0, self.abort)


def limited(connections: Connections) -> type[LimitedProtocol]:
    """The protocol of a listener's connections."""

    class Limited(LimitedProtocol):
        open_connections = connections

    return Limited
