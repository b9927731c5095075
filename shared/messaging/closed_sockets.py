"""kafka-python without a leak: it never closes a socket whose connection was refused, and leaves it in a reference cycle.

A process that waits for its broker for hours would run out of files before such cycles are collected. kafka-python has a registry
of classes that open sockets, by the scheme of `proxy_url`; ours opens them as its own does, without a proxy.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Final

from kafka.net import KafkaNetSocket

CLOSED_SOCKETS: Final = "homeostat-closed-sockets://"


class ClosedSocket(KafkaNetSocket):  # type: ignore[misc]
    """Opens the sockets of clients whose `proxy_url` is CLOSED_SOCKETS, and closes those that do not connect."""

    SCHEMES = (CLOSED_SOCKETS.partition(":")[0],)

    def socket(self, *args: Any) -> socket.socket:
        """A new socket."""
        opened: socket.socket = super().socket(*args)
        self._opened = opened
        return opened

    async def connect(
        self, net: Any, addrinfo: Any, socket_options: Sequence[Any] = (), timeout_at: float | None = None
    ) -> Any:
        """A connected socket. Raises what kafka-python does."""
        try:
            return await super().connect(net, addrinfo, socket_options, timeout_at=timeout_at)
        except BaseException:
            self._opened.close()
            raise
