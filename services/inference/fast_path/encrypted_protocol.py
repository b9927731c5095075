"""The protocol of connections with TLS: the handshake, then the fast path as without TLS."""

from __future__ import annotations

from typing import Any

from services.inference.fast_path.hot_requests import HotRequests
from services.inference.fast_path.protocol import STATE, FastProtocol
from shared.http.connections import RECEIVE_SECONDS
from shared.http.handshakes.handshake import Encrypted, Handshake

CERTIFICATE = "homeostat_certificate"  # where the lifespan state has the ServerCertificate


class EncryptedProtocol(Handshake):
    """A connection, which the sweep of the fast path counts from the start."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        state = kwargs["app_state"]
        self.certificate = state[CERTIFICATE]
        self._hot: HotRequests | None = state.get(STATE)

    def protocol(self, *args: Any, **kwargs: Any) -> Encrypted:
        """Ours; without a fast path it passes everything on to uvicorn's."""
        return FastProtocol(*args, **kwargs)  # type: ignore[return-value]  # it has `connected_at`

    def seconds(self) -> float:
        """As for headers."""
        return RECEIVE_SECONDS if self._hot is None else self._hot.receive_seconds

    def opened(self) -> None:
        """Count the connection, but not while the server stops."""
        if self._hot is not None:
            self._hot.add(self)
            if self._hot.draining:
                self.shutdown()

    def closed(self) -> None:
        """It is the HTTP protocol's from now on."""
        if self._hot is not None:
            self._hot.connections.pop(self, None)

    def sweep(self, now: float) -> None:
        """The handshake has its own time limit."""

    def give_way(self) -> bool:
        """The headers are due as long as the handshake is."""
        self.abort()
        return True
