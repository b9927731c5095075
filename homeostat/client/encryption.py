"""The TLS of a client: its arguments first, then the settings `HOMEOSTAT_TLS_…`, then the CAs that come with httpx."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from shared.errors import CallerError, OperatorError
from shared.tls.client_context import ClientTls
from shared.tls.client_environment import client_tls
from shared.tls.pem_files import PemFile, key_pair

Name = str | os.PathLike[str] | None


def verification(url: str, ca: Name, certificate: Name, key: Name) -> ssl.SSLContext | bool:
    """What httpx calls `verify`. Raises CallerError if a file cannot be used."""
    if not url.startswith("https://"):
        return True
    try:
        found = client_tls()
        pair = key_pair(_path(certificate), _path(key), settings=("certificate", "key")) or found.pair
        trusted = PemFile(Path(ca), "ca") if ca is not None else found.ca
        return True if trusted is None and pair is None else ClientTls(trusted, pair).context()
    except OperatorError as error:
        raise CallerError(error.message, hint=error.hint) from error


def _path(name: Name) -> Path | None:
    return None if name is None else Path(name)
