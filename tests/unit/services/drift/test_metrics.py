from __future__ import annotations

from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest

from services.drift.evaluation.classify import Measurements, Subject, classify
from services.drift.metrics import RESULTS, DriftMetrics
from services.drift.outcome_readiness import Watermarks
from services.drift.windows import Span
from shared.contracts.verdict import Score, Verdict
from tests.unit.services.drift.world import minutes


def verdict(*features: str, rows: int = 200, loss: float | None = 0.6) -> Verdict:
    scores = tuple(
        Score(signal="feature", feature=name, method="wasserstein", value=0.3, threshold=0.2, exceeded=True)
        for name in features
    )
    subject = Subject("toy", "ab" * 32, 1, "performance", Span(minutes(0), minutes(60)))
    measurements = Measurements(
        rows=rows, outcomes=rows // 2, reference_rows=500, scores=scores, loss=loss, minimum_rows=100
    )
    return classify(subject, measurements, minutes(99))


def sample(metrics: DriftMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"homeostat_drift_{name}", labels)


def test_the_gauges_show_the_last_window() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.reached(verdict("x", "y"))
    metrics.reached(verdict("y"))
    labels = {"model": "toy", "signal": "feature", "method": "wasserstein"}
    assert sample(metrics, "score", feature="y", **labels) == 0.3
    assert sample(metrics, "threshold", feature="y", **labels) == 0.2
    assert sample(metrics, "score", feature="x", **labels) is None
    assert sample(metrics, "outcome_coverage_ratio", model="toy") == 0.5
    assert sample(metrics, "verdicts_total", model="toy", detector="performance", state="drift") == 2


def test_exactly_one_state_holds() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.warming_up("toy")
    assert sample(metrics, "state", model="toy", state="warming_up") == 1
    metrics.reached(verdict("x"))
    states = {
        state: sample(metrics, "state", model="toy", state=state)
        for state in ("ok", "warming_up", "drift", "data_fault", "insufficient_data")
    }
    assert states == {"ok": 0, "warming_up": 0, "drift": 1, "data_fault": 0, "insufficient_data": 0}


def test_what_is_not_known_has_no_sample() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.reached(verdict(rows=0, loss=None))
    metrics.progress("toy", Watermarks(None, None))
    text = generate_latest(metrics.registry).decode()
    assert "NaN" not in text
    assert sample(metrics, "loss", model="toy") is None
    assert sample(metrics, "outcome_coverage_ratio", model="toy") is None


def test_no_figure_of_a_window_outlives_it() -> None:
    """When outcomes stop, what the last good window said is not shown as that of the blind one."""
    metrics = DriftMetrics(CollectorRegistry())
    figures = ("loss", "reference_loss", "outcome_coverage_ratio")
    judged = verdict("x", loss=0.9).model_copy(update={"reference_loss": 0.5})
    metrics.reached(judged)
    assert [sample(metrics, name, model="toy") for name in figures] == [0.9, 0.5, 0.5]
    metrics.reached(verdict(rows=0, loss=None))
    assert [sample(metrics, name, model="toy") for name in figures] == [None, None, None]
    metrics.reached(verdict(rows=200, loss=None).model_copy(update={"outcomes": 0}))
    assert [sample(metrics, name, model="toy") for name in figures] == [None, None, 0]
    metrics.reached(judged)
    assert [sample(metrics, name, model="toy") for name in figures] == [0.9, 0.5, 0.5]
    metrics.reached(judged.model_copy(update={"loss": float("inf")}))
    assert sample(metrics, "loss", model="toy") is None


def test_the_lag_of_outcomes_is_event_time() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.progress("toy", Watermarks(minutes(90), minutes(60)))
    assert sample(metrics, "outcome_lag_seconds", model="toy") == timedelta(minutes=30).total_seconds()


def info(metrics: DriftMetrics) -> list[dict[str, str]]:
    return [
        sample.labels
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "homeostat_drift_last_verdict_info"
    ]


def test_one_series_per_model_names_the_verdict_that_the_state_is_of() -> None:
    metrics = DriftMetrics(CollectorRegistry(), lambda verdict: f"mac of {verdict.model}")
    assert info(metrics) == []
    drifted, calm = verdict("x"), verdict().model_copy(update={"verdict_id": "cd" * 32})
    metrics.reached(calm)
    metrics.reached(drifted)
    metrics.reached(drifted)
    requested = {"detector": "request", "verdict_id": "ef" * 32, "reached_at": minutes(200)}
    metrics.reached(calm.model_copy(update=requested))
    metrics.reached(calm.model_copy(update={"model": "other"}))
    rest = {"detector": "performance", "version": "ab" * 32}
    assert info(metrics) == [
        {"model": "toy", "verdict_id": drifted.verdict_id, "state": "drift", "mac": "mac of toy", **rest},
        {"model": "other", "verdict_id": "cd" * 32, "state": "ok", "mac": "mac of other", **rest},
    ]
    assert sample(metrics, "last_verdict_timestamp_seconds", model="toy") == minutes(99).timestamp()


def test_annotations_are_counted_by_what_came_of_them() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.annotated("sent")
    assert {result: sample(metrics, "annotations_total", result=result) for result in RESULTS} == {
        "sent": 1,
        "dropped": 0,
        "refused": 0,
    }
