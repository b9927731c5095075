"""The certificate of a listener, read again when its files change.

1. New files are loaded into a context of their own, which replaces the current one: a connection has the old pair or the new one.
2. Files that cannot be used are reported once, and the current certificate stays.
3. The files are looked at when a client connects, once a second at most. Prometheus connects every few seconds.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable

from shared.errors import OperatorError
from shared.observability.logs import get_logger
from shared.tls.pem_files import KeyPair, PemFile, expiry, key_pair, load_ca
from shared.tls.settings import TlsSettings

_log = get_logger(__name__)
_LOOK_SECONDS = 1.0
_CERTIFICATE, _KEY, _CLIENT_CA = "HOMEOSTAT_TLS_CERTIFICATE", "HOMEOSTAT_TLS_KEY", "HOMEOSTAT_TLS_CLIENT_CA"


class ServerCertificate:
    """Certificate and key of a listener; with `client_ca`, clients need a certificate too. For one thread."""

    def __init__(
        self, pair: KeyPair, client_ca: PemFile | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises OperatorError if a file cannot be used."""
        self._pair = pair
        self._client_ca = client_ca
        self._clock = clock
        self._next_look = clock() + _LOOK_SECONDS
        self._signature = self._look()
        self._context, self._expires = self._load()
        if self._expires < time.time():
            _log.error("tls_certificate_expired", certificate=str(pair.certificate.path))

    @property
    def expires(self) -> float:
        """When the certificate in use expires, in seconds since 1970."""
        return self._expires

    def context(self) -> ssl.SSLContext:
        """The context for a new connection."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self._reload()
        return self._context

    def _reload(self) -> None:
        signature = self._look()
        if signature == self._signature:
            return
        self._signature = signature
        certificate = str(self._pair.certificate.path)
        try:
            self._context, self._expires = self._load()
        except OperatorError as error:
            _log.error(
                "tls_certificate_not_reloaded",
                certificate=certificate,
                problem=error.message,
                hint=error.hint,
                in_use_until=self._expires,
            )
        else:
            _log.info("tls_certificate_reloaded", certificate=certificate, expires=self._expires)

    def _look(self) -> tuple[tuple[int, ...], ...]:
        files = (self._pair.certificate, self._pair.key, *([self._client_ca] if self._client_ca else []))
        return tuple(file.signature() for file in files)

    def _load(self) -> tuple[ssl.SSLContext, float]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION  # a client could ask for it without end
        context.set_alpn_protocols(["http/1.1"])
        self._pair.load_into(context)
        if self._client_ca is not None:
            load_ca(context, self._client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context, expiry(self._pair.certificate.path)


def server_certificate(settings: TlsSettings) -> ServerCertificate | None:
    """The certificate that the settings name; None without one: no TLS. Raises OperatorError."""
    pair = key_pair(settings.certificate, settings.key, settings=(_CERTIFICATE, _KEY))
    if pair is None:
        if settings.client_ca is not None:
            raise OperatorError(
                f"{_CLIENT_CA} is set, and {_CERTIFICATE} is not",
                hint=f"set {_CERTIFICATE} and {_KEY}, or unset {_CLIENT_CA}",
            )
        return None
    return ServerCertificate(pair, PemFile(settings.client_ca, _CLIENT_CA) if settings.client_ca else None)
