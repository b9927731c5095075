from __future__ import annotations

from prometheus_client import CollectorRegistry

from services.drift.performance_gauges import PerformanceGauges
from shared.contracts.verdict import MetricValue, Verdict
from tests.unit.services.drift.world import minutes


def verdict(*metrics: MetricValue) -> Verdict:
    return Verdict(
        verdict_id="0" * 32,
        model="toy",
        version="ab" * 32,
        generation=1,
        detector="performance",
        window_start=minutes(0),
        window_end=minutes(60),
        rows=10,
        outcomes=10,
        state="ok",
        metrics=metrics,
        reached_at=minutes(99),
    )


def test_a_metric_without_a_value_and_one_that_is_gone_have_no_series() -> None:
    registry = CollectorRegistry()
    gauges = PerformanceGauges(registry)

    def sample(metric: str, name: str = "performance_metric") -> float | None:
        labels = {"model": "toy", "metric": metric, "slice": "c=a"}
        return registry.get_sample_value(f"homeostat_drift_{name}", labels)

    gauges.show(
        verdict(
            MetricValue(name="auc", slice="c=a", value=0.7, reference=0.8, outcomes=10),
            MetricValue(name="f1", slice="c=a", value=0.5, outcomes=10),
        )
    )
    assert (sample("auc"), sample("auc", "reference_performance_metric")) == (0.7, 0.8)
    assert (sample("f1"), sample("f1", "reference_performance_metric")) == (0.5, None)
    gauges.show(verdict(MetricValue(name="auc", slice="c=a", value=None, reference=0.8, outcomes=3)))
    assert (sample("auc"), sample("f1")) == (None, None)
    assert sample("auc", "reference_performance_metric") == 0.8
