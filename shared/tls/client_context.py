"""What a client needs for TLS: whom it trusts, and its own certificate if the server requires one."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from shared.tls.pem_files import KeyPair, PemFile, load_ca


@dataclass(frozen=True)
class ClientTls:
    """Files are read again for each context, so that renewed ones are used by new connections."""

    ca: PemFile | None = None
    pair: KeyPair | None = None
    check_hostname: bool = True

    def signature(self) -> tuple[tuple[int, ...], ...]:
        """Changes when one of the files does."""
        files = [self.ca, *((self.pair.certificate, self.pair.key) if self.pair else ())]
        return tuple(file.signature() for file in files if file is not None)

    def context(self) -> ssl.SSLContext:
        """A context for new connections. Raises OperatorError if a file cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.check_hostname
        if self.ca is None:
            context.load_default_certs()
        else:
            load_ca(context, self.ca)
        if self.pair is not None:
            self.pair.load_into(context)
        return context
