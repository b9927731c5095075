"""Log lines about failed handshakes, a few a minute: anybody who reaches the port can cause them."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any

from shared.observability.logs import get_logger

_log = get_logger(__name__)
_EVERY_SECONDS = 10.0
_REASONS = {
    "HTTP_REQUEST": "the client sent HTTP without TLS; its address must begin with https://",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the client sent no certificate, and HOMEOSTAT_TLS_CLIENT_CA requires one",
    "CERTIFICATE_VERIFY_FAILED": "the client's certificate is not of a CA in HOMEOSTAT_TLS_CLIENT_CA, or has expired",
    "TLSV1_ALERT_UNKNOWN_CA": "the client does not trust our CA; give it the CA's certificate (HOMEOSTAT_TLS_CA)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the client refused our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client refused our certificate: it has expired",
    "UNSUPPORTED_PROTOCOL": "the client knows no TLS from 1.2 on",
}


class FailureLog:
    """Logs one failure in ten seconds, with the number of those since the last line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = 0.0
        self._failed = 0

    def add(self, peer: Any, error: Exception) -> None:
        """A handshake failed. A client that connects and leaves is not worth a line: probes do that."""
        if isinstance(error, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError):
            return
        self._failed += 1
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _EVERY_SECONDS
        client = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        _log.warning("tls_handshake_failed", client=client, problem=problem_of(error), failures=self._failed)
        self._failed = 0


def problem_of(error: Exception) -> str:
    """Why a handshake failed, in words."""
    if isinstance(error, ConnectionAbortedError | TimeoutError):
        return "the client did not complete the handshake in time"
    reason = str(getattr(error, "reason", "") or "")
    return _REASONS.get(reason, reason or str(error) or type(error).__name__)
