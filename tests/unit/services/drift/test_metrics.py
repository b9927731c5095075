from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.drift.evaluation.classify import Measurements, Subject, classify
from services.drift.metrics import RESULTS, DriftMetrics
from services.drift.model_state import STATES, ModelStateName
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
        rows=rows,
        outcomes=rows // 2,
        reference_rows=500,
        scores=scores,
        loss=loss,
        minimum_rows=100,
        coverage=0.5 if rows else None,
    )
    return classify(subject, measurements, minutes(99))


def sample(metrics: DriftMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"homeostat_drift_{name}", labels)


def test_the_gauges_show_the_last_window() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.reached(verdict("x", "y"))
    metrics.reached(verdict("y"))
    labels = {"model": "toy", "signal": "feature", "method": "wasserstein", "slice": ""}
    assert sample(metrics, "score", feature="y", **labels) == 0.3
    assert sample(metrics, "threshold", feature="y", **labels) == 0.2
    assert sample(metrics, "score", feature="x", **labels) is None
    assert sample(metrics, "outcome_coverage_ratio", model="toy") == 0.5
    assert sample(metrics, "verdicts_total", model="toy", detector="performance", state="drift") == 2


def test_exactly_one_state_holds() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.detector_state("toy", "inputs", "warming_up")
    assert sample(metrics, "state", model="toy", state="warming_up") == 1
    metrics.detector_state("toy", "inputs", "drift")
    states = {state: sample(metrics, "state", model="toy", state=state) for state in STATES}
    assert [state for state, held in states.items() if held] == ["drift"]
    assert len(states) == 6


@pytest.mark.parametrize(
    ("inputs", "performance", "overall"),
    [
        ("ok", "ok", "ok"),
        ("ok", "not_judged", "not_judged"),
        ("drift", "not_judged", "drift"),
        ("ok", "insufficient_data", "insufficient_data"),
        ("data_fault", "drift", "data_fault"),
        ("ok", "warming_up", "warming_up"),
    ],
)
def test_state_of_a_model_is_the_worst_of_its_detectors(
    inputs: ModelStateName, performance: ModelStateName, overall: ModelStateName
) -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.detector_state("toy", "performance", performance)
    metrics.detector_state("toy", "inputs", inputs)
    held = [state for state in STATES if sample(metrics, "state", model="toy", state=state)]
    assert held == [overall]
    labels = {"model": "toy", "detector": "performance"}
    held = [state for state in STATES if sample(metrics, "detector_state", state=state, **labels)]
    assert held == [performance]


def test_revision_of_an_earlier_window_leaves_the_gauges() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    newest = verdict(loss=0.6)
    metrics.reached(newest)
    earlier = {"window_end": minutes(0), "revision": 2, "loss": 0.9}
    metrics.revised(newest.model_copy(update=earlier))
    metrics.reached(newest.model_copy(update=earlier))
    assert sample(metrics, "loss", model="toy") == 0.6
    metrics.reached(newest.model_copy(update={"revision": 2, "loss": 0.7}))
    assert sample(metrics, "loss", model="toy") == 0.7
    assert sample(metrics, "revisions_total", model="toy", state="ok") == 1


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
    metrics.reached(verdict(rows=200, loss=None).model_copy(update={"outcomes": 0, "coverage": 0.0}))
    assert [sample(metrics, name, model="toy") for name in figures] == [None, None, 0]
    metrics.reached(judged)
    assert [sample(metrics, name, model="toy") for name in figures] == [0.9, 0.5, 0.5]
    metrics.reached(judged.model_copy(update={"loss": float("inf")}))
    assert sample(metrics, "loss", model="toy") is None


def test_last_observation_of_an_outcome_is_shown() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.progress("toy", Watermarks(minutes(90), None))
    assert sample(metrics, "outcomes_last_observed_timestamp_seconds", model="toy") is None
    metrics.progress("toy", Watermarks(minutes(90), minutes(60)))
    shown = sample(metrics, "outcomes_last_observed_timestamp_seconds", model="toy")
    assert shown == minutes(60).timestamp()


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


def test_alarm_between_windows_lasts_until_a_window_closes_after_it() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.detector_state("toy", "inputs", "ok")
    alarm = {"detector": "stream", "state": "drift", "window_end": minutes(70), "verdict_id": "ef" * 32}
    metrics.reached(verdict().model_copy(update=alarm))
    assert sample(metrics, "state", model="toy", state="drift") == 1
    assert [labels["detector"] for labels in info(metrics)] == ["stream"]
    inputs = {"detector": "inputs", "window_end": minutes(60)}
    metrics.reached(verdict().model_copy(update=inputs))
    assert sample(metrics, "state", model="toy", state="drift") == 1, "that window closed before the alarm"
    metrics.reached(verdict().model_copy(update=inputs | {"window_end": minutes(120)}))
    assert sample(metrics, "state", model="toy", state="ok") == 1
    assert [labels["detector"] for labels in info(metrics)] == ["inputs"]


def test_annotations_are_counted_by_what_came_of_them() -> None:
    metrics = DriftMetrics(CollectorRegistry())
    metrics.annotated("sent")
    assert {result: sample(metrics, "annotations_total", result=result) for result in RESULTS} == {
        "sent": 1,
        "dropped": 0,
        "refused": 0,
    }


def test_alarm_concluded_after_its_window_closed_is_not_shown_as_the_newest() -> None:
    """As `/status` has it: the verdict of the window that closed takes the place of the alarm."""
    metrics = DriftMetrics(CollectorRegistry())
    metrics.detector_state("toy", "inputs", "ok")
    metrics.reached(verdict().model_copy(update={"detector": "inputs", "window_end": minutes(120)}))
    late = {"detector": "stream", "state": "drift", "window_end": minutes(70), "verdict_id": "ef" * 32}
    metrics.reached(verdict().model_copy(update=late))
    assert sample(metrics, "state", model="toy", state="ok") == 1
    assert [labels["detector"] for labels in info(metrics)] == ["inputs"]
    assert sample(metrics, "verdicts_total", model="toy", detector="stream", state="drift") == 1
    newer = verdict().model_copy(update=late | {"window_end": minutes(150), "verdict_id": "ab" * 32})
    metrics.reached(newer)
    metrics.reached(verdict().model_copy(update=late | {"window_end": minutes(140), "state": "data_fault"}))
    assert sample(metrics, "state", model="toy", state="drift") == 1, "that of the later alarm"


def test_alarm_of_performance_lasts_until_later_rows_are_judged() -> None:
    """It is the evidence of many windows: the last of them, and a window of inputs, do not take its place."""
    metrics = DriftMetrics(CollectorRegistry())
    window = {"detector": "performance", "window_start": minutes(60), "window_end": minutes(120)}
    metrics.detector_state("toy", "performance", "ok")
    metrics.reached(verdict().model_copy(update=window))
    risen = {
        "detector": "stream", "state": "drift", "drifted": ("performance",), "window_start": minutes(0),
        "window_end": minutes(110), "verdict_id": "ef" * 32,
    }  # fmt: skip
    metrics.reached(verdict().model_copy(update=risen))
    assert sample(metrics, "state", model="toy", state="drift") == 1
    inputs = {"detector": "inputs", "window_start": minutes(120), "window_end": minutes(180)}
    metrics.reached(verdict().model_copy(update=inputs))
    assert sample(metrics, "state", model="toy", state="drift") == 1
    shifted = {
        "detector": "stream",
        "state": "data_fault",
        "window_end": minutes(190),
        "verdict_id": "ab" * 32,
    }
    metrics.reached(verdict().model_copy(update=shifted))
    assert sample(metrics, "state", model="toy", state="data_fault") == 1
    metrics.reached(verdict().model_copy(update=inputs | {"window_end": minutes(240)}))
    assert sample(metrics, "state", model="toy", state="drift") == 1, "the other alarm is not over"
    later = {"window_start": minutes(120), "window_end": minutes(180)}
    metrics.reached(verdict().model_copy(update=window | later))
    assert sample(metrics, "state", model="toy", state="ok") == 1
