"""The metric of a listener's certificate. It is a collector: the value is read at each scrape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Expiring(Protocol):
    """What is needed of a certificate."""

    @property
    def expires(self) -> float:
        """Seconds since 1970."""


class CertificateCollector(Collector):
    """When the certificate expires; there is no series without TLS."""

    def __init__(self, certificate: Expiring) -> None:
        self._certificate = certificate

    def collect(self) -> Iterator[Metric]:
        """The series."""
        expires = GaugeMetricFamily(
            "homeostat_tls_certificate_expires_timestamp_seconds",
            "When the certificate that the listener uses expires, in seconds since 1970; no series without TLS.",
        )
        expires.add_metric((), self._certificate.expires)
        yield expires


def watch_certificate(registry: CollectorRegistry, certificate: Expiring | None) -> None:
    """Add the metric to a registry, if there is a certificate."""
    if certificate is not None:
        registry.register(CertificateCollector(certificate))
