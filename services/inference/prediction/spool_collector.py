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
        for name, text, counts in (
            (
                "homeostat_inference_spooled_rows",
                "Rows written to the spool, by kind and model.",
                statistics.appended,
            ),
            (
                "homeostat_inference_spool_dropped_rows",
                "Rows dropped because the spool or the disk was full, by kind and model.",
                statistics.dropped,
            ),
        ):
            family = CounterMetricFamily(name, text, labels=["kind", "model"])
            for (kind, model), count in counts.items():
                family.add_metric([str(kind), model], count)
            yield family
