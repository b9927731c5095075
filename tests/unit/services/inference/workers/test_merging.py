from __future__ import annotations

import math
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from services.inference.workers.merging import added, merge
from services.inference.workers.worker_snapshot import Family, WorkerSnapshot, families_of


def families(fill: Callable[[CollectorRegistry], None]) -> list[Family]:
    registry = CollectorRegistry()
    fill(registry)
    # As another process reads it.
    return WorkerSnapshot.load(WorkerSnapshot("p", 1, {}, families_of(registry.collect())).dump()).families


def value(merged: object, name: str, **labels: str) -> float | None:
    found = [
        sample.value
        for metric in merged  # type: ignore[attr-defined]
        for sample in metric.samples
        if sample.name == name and sample.labels == labels
    ]
    assert len(found) <= 1
    return found[0] if found else None


def counted(rows: int, seconds: float) -> list[Family]:
    def fill(registry: CollectorRegistry) -> None:
        Counter("rows", "Rows.", ["model"], registry=registry).labels("toy").inc(rows)
        Histogram("took", "Time.", registry=registry, buckets=(0.1, 1.0)).observe(seconds)

    return families(fill)


def gauge(name: str, number: float, **labels: str) -> list[Family]:
    def fill(registry: CollectorRegistry) -> None:
        made = Gauge(name, "A gauge.", list(labels), registry=registry)
        (made.labels(**labels) if labels else made).set(number)

    return families(fill)


def test_counters_and_histograms_of_all_are_added() -> None:
    merged = merge([counted(3, 0.05), counted(4, 0.5)], [counted(5, 5.0)])
    assert value(merged, "rows_total", model="toy") == 12
    assert value(merged, "took_bucket", le="0.1") == 1
    assert value(merged, "took_bucket", le="1.0") == 2
    assert value(merged, "took_bucket", le="+Inf") == value(merged, "took_count") == 3
    assert value(merged, "took_sum") == 5.55


def test_series_of_one_process_are_kept() -> None:
    def fill(registry: CollectorRegistry) -> None:
        Counter("rows", "Rows.", ["model"], registry=registry).labels("other").inc(2)

    merged = merge([counted(3, 0.05), families(fill)], [])
    assert [metric.name for metric in merged].count("rows") == 1
    assert value(merged, "rows_total", model="other") == 2


def test_gauges_are_those_of_running_processes() -> None:
    for name, wanted in (
        ("homeostat_inference_requests_in_flight", 5),
        ("homeostat_inference_requests_in_flight_limit", 5),
        ("homeostat_inference_generation", 2),
        ("homeostat_inference_last_prediction_timestamp_seconds", 3),
    ):
        assert value(merge([gauge(name, 2), gauge(name, 3)], [gauge(name, 9)]), name) == wanted


def test_process_without_a_value_yet_does_not_hide_the_others() -> None:
    name = "homeostat_inference_release_log_age_seconds"
    for order in ((math.nan, 2.0), (2.0, math.nan)):
        assert value(merge([gauge(name, one) for one in order], []), name) == 2
    assert math.isnan(value(merge([gauge(name, math.nan)], []), name) or 0)


def test_ended_processes_are_added_and_lose_their_gauges() -> None:
    total = added([*counted(1, 0.05), *gauge("depth", 7)], counted(2, 0.05))
    merged = merge([], [total])
    assert value(merged, "rows_total", model="toy") == 3
    assert value(merged, "depth") is None


def test_exposition_is_that_of_one_process() -> None:
    class Merged:
        def collect(self) -> object:
            return merge([counted(3, 0.05)], [])

    registry = CollectorRegistry()
    Counter("rows", "Rows.", ["model"], registry=registry).labels("toy").inc(3)
    text = generate_latest(registry).decode()
    lines = {line for line in text.splitlines() if "_created" not in line}
    assert lines <= set(generate_latest(Merged()).decode().splitlines())  # type: ignore[arg-type]
