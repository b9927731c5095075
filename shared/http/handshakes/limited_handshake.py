"""The handshake of connections with limits: it is part of the time and number that a listener allows."""

from __future__ import annotations

from typing import Any

from shared.http.connections import Connections
from shared.http.handshakes.handshake import Encrypted, Handshake
from shared.http.limited_protocol import LimitedProtocol, limited
from shared.tls.server_certificate import ServerCertificate


def limited_handshake(connections: Connections, server: ServerCertificate) -> type[Handshake]:
    """The protocol of a listener's connections, with TLS."""
    http: type[LimitedProtocol] = limited(connections)

    class LimitedHandshake(Handshake):
        certificate = server

        def protocol(self, *args: Any, **kwargs: Any) -> Encrypted:
            return http(*args, **kwargs)  # type: ignore[return-value]  # it has `connected_at`

        def seconds(self) -> float:
            return connections.limits.receive_seconds

        def opened(self) -> None:
            connections.opened(self)

        def closed(self) -> None:
            connections.closed(self)

    return LimitedHandshake
