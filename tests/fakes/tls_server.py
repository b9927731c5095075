"""A small server of ours with a certificate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from local_stack.certificates import CertificateFolder
from shared.http.metrics_server import MetricsServer
from shared.tls.server_certificate import server_certificate
from shared.tls.settings import TlsSettings
from tests.fakes.callers import Everyone


@contextmanager
def tls_server(files: CertificateFolder, *, mutual: bool = False) -> Iterator[int]:
    """Its port; `/status` answers `{"ready": true}`."""
    settings = TlsSettings(
        certificate=files.server, key=files.server_key, client_ca=files.ca if mutual else None
    )
    server = MetricsServer(
        CollectorRegistry(),
        "127.0.0.1",
        0,
        lambda: {"ready": True},
        certificate=server_certificate(settings),
        service="sink",
        authenticator=Everyone(),
    )
    server.start()
    try:
        yield server.port
    finally:
        server.stop()
