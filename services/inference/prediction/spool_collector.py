"""Prometheus metrics of the spool."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from services.inference.prediction.recorder import Spool


class SpoolCollector(Collector):
    """Metrics of the spool, read at each scrape."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """Bytes and limit; rows appended and dropped, by kind and model."""
        statistics = self._spool.statistics()
        yield GaugeMetricFamily(
            "homeostat_inference_spool_bytes",
            "Bytes on the spool that are not shipped yet.",
            statistics.bytes,
        )
        yield GaugeMetricFamily(
            "homeostat_inference_spool_bound_bytes", "Maximum bytes of the spool.", statistics.bound
        )
        yield CounterMetricFamily(
            "homeostat_inference_spool_sync_failures",
            "Failed syncs of the spool to the disk; the rows are logged, but a power cut may lose them.",
            statistics.sync_failures,
        )
        for name, text, counts in (
            (
                "homeostat_inference_spooled_rows",
                "Rows written to the spool, by kind and model.",
                statistics.appended,
            ),
            (
                "homeostat_inference_spool_dropped_rows",
                "Rows that could not be written to the spool: answered without a log, or refused with 503.",
                statistics.dropped,
            ),
        ):
            family = CounterMetricFamily(name, text, labels=["kind", "model"])
            for (kind, model), count in counts.items():
                family.add_metric([str(kind), model], count)
            yield family
