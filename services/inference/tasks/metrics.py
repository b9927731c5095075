"""Metrics of tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector


class TaskMetrics(Collector):
    """Tasks of this process: finished ones by status, and those that are not."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._finished: Counter[str] = Counter()
        self._unfinished: Callable[[], int] = lambda: 0
        registry.register(self)

    def finished(self, status: str) -> None:
        """A task is completed, failed or canceled."""
        self._finished[status] += 1

    def watch(self, unfinished: Callable[[], int]) -> None:
        """Set the source of the number of unfinished tasks."""
        self._unfinished = unfinished

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """All series."""
        yield GaugeMetricFamily(
            "homeostat_inference_tasks_unfinished",
            "Batch tasks that are waiting or in progress.",
            self._unfinished(),
        )
        family = CounterMetricFamily(
            "homeostat_inference_tasks",
            "Finished batch tasks; status is completed, failed or canceled.",
            labels=["status"],
        )
        for status, count in self._finished.items():
            family.add_metric([status], count)
        yield family
