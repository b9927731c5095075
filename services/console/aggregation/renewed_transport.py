"""The console's connections to the other services: with TLS, by the certificates as they are now.

httpx loses a connection of its pool for good when a request is cancelled while it connects or waits for a connection. Polls
that take too long are cancelled, and so are requests whose client leaves. Here such a request ends by itself, by its timeouts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx

from shared.tls.client_context import ClientTls

_LOOK_SECONDS = 1.0


class RenewedTransport(httpx.AsyncBaseTransport):
    """httpx's transport, made again when a file of `tls` has changed. Requests in progress end on the one they began with."""

    def __init__(
        self, tls: ClientTls, limits: httpx.Limits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises OperatorError if a file cannot be used."""
        self._tls = tls
        self._limits = limits
        self._clock = clock
        self._signature = tls.signature()
        self._current = self._made()
        self._former: list[httpx.AsyncHTTPTransport] = []
        self._closing: set[asyncio.Future[None]] = set()
        self._next_look = clock() + _LOOK_SECONDS

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request. Raises OperatorError while changed files cannot be used."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            if (signature := self._tls.signature()) != self._signature:
                made = self._made()
                self._former.append(self._current)
                self._current, self._signature = made, signature
        sent = asyncio.ensure_future(self._current.handle_async_request(request))
        try:
            return await asyncio.shield(sent)
        except asyncio.CancelledError:
            sent.add_done_callback(self._close_unread)
            raise

    def _close_unread(self, sent: asyncio.Future[httpx.Response]) -> None:
        """Give the connection of a response back that nobody waits for any more."""
        if not sent.cancelled() and sent.exception() is None:
            closing = asyncio.ensure_future(sent.result().aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Close the connections."""
        for transport in (self._current, *self._former):
            await transport.aclose()

    def _made(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=self._tls.context(), trust_env=False, limits=self._limits)
