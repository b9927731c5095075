"""The certificates of listeners and clients that the settings name: whether they can be used, and for how long."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cli.checks.check_result import CheckResult
from shared.errors import OperatorError
from shared.tls.client_environment import client_tls
from shared.tls.pem_files import KeyPair, expiry, key_pair
from shared.tls.settings import TlsSettings

RENEW = timedelta(days=14)
LISTENER = ("HOMEOSTAT_TLS_CERTIFICATE", "HOMEOSTAT_TLS_KEY")


def certificates(now: datetime) -> Iterator[CheckResult]:
    """A result for the listeners' certificate and one for the clients', CA included."""
    settings = TlsSettings()
    try:
        listener = key_pair(settings.certificate, settings.key, settings=LISTENER)
        if listener is None:
            yield CheckResult("certificate", "off", "the listeners have no TLS")
        else:
            listener.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            yield _expiring("certificate", listener, now)
        client = client_tls()
        if client.ca is not None or client.pair is not None:
            client.context()
        if client.pair is not None:
            yield _expiring("client certificate", client.pair, now)
    except OperatorError as error:
        yield CheckResult("certificate", "failure", error.message, error.hint)


def _expiring(checked: str, pair: KeyPair, now: datetime) -> CheckResult:
    path = pair.certificate.path
    expires = datetime.fromtimestamp(expiry(path), UTC)
    found = f"{path} expires on {expires:%Y-%m-%d}"
    if expires > now + RENEW:
        return CheckResult(checked, "ok", found)
    hint = "renew it in place; services read the new files by themselves"
    return CheckResult(checked, "warning" if expires > now else "failure", found, hint)
