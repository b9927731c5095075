"""The TLS settings of clients, from the environment: `TlsSettings` without pydantic, for commands that must start quickly."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from shared.tls.client_context import ClientTls
from shared.tls.pem_files import PemFile, key_pair

PREFIX = "HOMEOSTAT_TLS_"
CA, CLIENT_CERTIFICATE, CLIENT_KEY = (
    PREFIX + name.upper() for name in ("ca", "client_certificate", "client_key")
)
CERTIFICATE = PREFIX + "CERTIFICATE"
PATHS = (CERTIFICATE, PREFIX + "KEY", PREFIX + "CLIENT_CA", CA, CLIENT_CERTIFICATE, CLIENT_KEY)


def client_tls(environment: Mapping[str, str] = os.environ) -> ClientTls:
    """Whom our clients trust, and their own certificate. Raises OperatorError if only one of certificate and key is named."""
    ca, certificate, key = (_path(environment, name) for name in (CA, CLIENT_CERTIFICATE, CLIENT_KEY))
    return ClientTls(
        PemFile(ca, CA) if ca else None,
        key_pair(certificate, key, settings=(CLIENT_CERTIFICATE, CLIENT_KEY)),
    )


def ca_text(environment: Mapping[str, str] = os.environ) -> str:
    """The CA certificates (PEM) that our clients trust; empty for those of the system. Raises OperatorError."""
    path = _path(environment, CA)
    return PemFile(path, CA).read() if path else ""


def listener_scheme(environment: Mapping[str, str] = os.environ) -> str:
    """`https` if services that are started with this environment have a certificate, else `http`."""
    return "https" if environment.get(CERTIFICATE) else "http"


def with_absolute_paths(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for processes with another working folder: paths of certificates are relative to this one."""
    return dict(environment) | {
        name: str(Path(environment[name]).absolute()) for name in PATHS if environment.get(name)
    }


def problem_of(error: BaseException) -> tuple[str, str]:
    """What is wrong with the TLS of a connection, and what to do; empty if TLS is not the problem."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted: {error.verify_message}",
            f"set {CA} to the certificate of its CA (PEM); the address must be a name in the certificate",
        )
    reason = getattr(error, "reason", "") if isinstance(error, ssl.SSLError) else ""
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        return "it does not answer with TLS", "use an address that begins with http://"
    if reason and "CERTIFICATE" in reason:
        return (
            "it requires the certificate of a client",
            f"set {CLIENT_CERTIFICATE} and {CLIENT_KEY} (PEM)",
        )
    return "", ""


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "")
    return Path(text) if text else None
