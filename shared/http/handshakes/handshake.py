"""A connection until its TLS handshake is done; then its HTTP protocol takes over.

asyncio calls a protocol only after the handshake, so a server does not know of clients that begin one and do not end it. Here
the connection is known from the start: it counts for the limits, and its first request is due from then on.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, cast

from shared.http.handshakes.failure_log import FailureLog
from shared.tls.server_certificate import ServerCertificate

_HANDSHAKE_RECORD = 0x16  # RFC 8446, section 5.1
_NO_TLS = b'{"error":"this port requires TLS","hint":"use an address that begins with https://"}'
_PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
) % (len(_NO_TLS), _NO_TLS)
# How long a client may take to confirm that the connection is closed; asyncio waits 30 s.
_SHUTDOWN_SECONDS = 1.0


class Encrypted(asyncio.Protocol):
    """What is needed of the HTTP protocol: it counts its first deadline from `connected_at`, on the loop's clock."""

    connected_at: float


class Handshake(asyncio.Protocol):
    """One connection. Subclasses say which `protocol` takes over, and count connections."""

    certificate: ServerCertificate
    failures: ClassVar[FailureLog] = FailureLog()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """The arguments are those of uvicorn for its protocol."""
        self._arguments = (args, kwargs)
        self._uvicorn: set[Any] = kwargs["server_state"].connections
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._peer: Any = None
        self._begun = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._received: list[bytes] = []
        self._ended = False

    # For subclasses

    def protocol(self, *args: Any, **kwargs: Any) -> Encrypted:
        """The HTTP protocol of the connection."""
        raise NotImplementedError

    def seconds(self) -> float:
        """Maximum duration of the handshake."""
        raise NotImplementedError

    def opened(self) -> None:
        """Count the connection."""

    def closed(self) -> None:
        """The connection is gone, or counts as one of the HTTP protocol."""

    # Of uvicorn and the limits

    def shutdown(self) -> None:
        """The server stops; the client has sent no request."""
        self.abort()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # Of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)
        self._peer = transport.get_extra_info("peername")  # a closed connection does not know it any more
        self._begun = loop.time()
        self._due = loop.call_later(self.seconds(), self._too_slow)
        self._uvicorn.add(self)
        self.opened()

    def data_received(self, data: bytes) -> None:
        """The first bytes, and later what the client sent together with the end of its handshake."""
        self._received.append(data)
        if self._task is None:
            transport = cast(asyncio.Transport, self._transport)
            if data[0] == _HANDSHAKE_RECORD:
                transport.pause_reading()
                self._task = asyncio.get_running_loop().create_task(self._secure(transport))
            else:
                transport.write(_PLAIN_HTTP)
                transport.close()

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        self._ended = True
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before it began."""
        self._done()

    def _too_slow(self) -> None:
        if self._task is not None:
            self.failures.add(self._peer, TimeoutError())
        self.abort()

    async def _secure(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        secured: asyncio.Transport | None = None
        try:
            handshake = loop.create_task(
                loop.start_tls(
                    transport,
                    self,
                    self.certificate.context(),
                    server_side=True,
                    ssl_handshake_timeout=self.seconds(),
                    ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
                )
            )
            await asyncio.sleep(0)
            if not handshake.done():
                # start_tls has scheduled its own first steps; this one comes after them, and before anything is read.
                loop.call_soon(self._feed, transport)
            secured = await handshake
        except OSError as error:  # also ssl.SSLError
            self.failures.add(self._peer, error)
            transport.abort()
        finally:
            self._done()
        # None: the client left.
        if secured is not None and not secured.is_closing():
            self._hand_over(secured)

    def _feed(self, transport: asyncio.Transport) -> None:
        """Give the first bytes to the TLS protocol, which has taken our place."""
        received, self._received = memoryview(b"".join(self._received)), []
        tls = cast(asyncio.BufferedProtocol, transport.get_protocol())
        while received and not transport.is_closing():
            buffer = memoryview(cast(bytearray, tls.get_buffer(len(received))))
            size = min(len(buffer), len(received))
            buffer[:size] = received[:size]
            tls.buffer_updated(size)
            received = received[size:]

    def _hand_over(self, secured: asyncio.Transport) -> None:
        args, kwargs = self._arguments
        protocol = self.protocol(*args, **kwargs)
        protocol.connected_at = self._begun
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        for data in self._received:
            protocol.data_received(data)
        if self._ended and not protocol.eof_received():
            secured.close()

    def _done(self) -> None:
        """The handshake is over, one way or the other."""
        if self._due is not None:
            self._due.cancel()
        self._uvicorn.discard(self)
        self.closed()
