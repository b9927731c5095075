from __future__ import annotations

from dataclasses import replace

import pytest

from services.drift.evaluation.classify import MAX_SCORES_WITHIN_THRESHOLD, Measurements, Subject, classify
from services.drift.windows import Span
from shared.contracts.verdict import Score, Signal, State, cause_key
from tests.unit.services.drift.world import minutes

SUBJECT = Subject("toy", "ab" * 32, 3, "performance", Span(minutes(0), minutes(60)))


def score(
    signal: Signal, feature: str = "", value: float = 1.0, threshold: float = 0.5, method: str = "m"
) -> Score:
    return Score(
        signal=signal,
        feature=feature,
        method=method,
        value=value,
        threshold=threshold,
        exceeded=value > threshold,
    )


CALM = Measurements(
    rows=500, outcomes=400, reference_rows=5000, loss=0.5, reference_loss=0.5, minimum_rows=100
)
FAULT, DRIFT = score("data", "x"), score("feature", "x")
LOUD = replace(CALM, scores=(FAULT, DRIFT, score("performance")))


@pytest.mark.parametrize(
    ("measurements", "state"),
    [
        (CALM, "ok"),
        (replace(CALM, scores=(score("feature", "x", 0.4),)), "ok"),
        (replace(CALM, scores=(DRIFT,)), "drift"),
        (replace(CALM, scores=(score("prediction"),)), "drift"),
        (replace(CALM, scores=(score("performance"),)), "drift"),
        (LOUD, "data_fault"),  # bad data never counts as drift
        (replace(LOUD, rows=99), "insufficient_data"),
        (replace(LOUD, rows=99, reference_rows=99), "warming_up"),
        (replace(CALM, rows=0, outcomes=0, loss=None), "insufficient_data"),
        (replace(CALM, outcomes=20, loss=None), "insufficient_data"),
        (replace(CALM, outcomes=20, loss=None, scores=(DRIFT,)), "drift"),
        (replace(CALM, loss=None, loss_expected=False), "ok"),
    ],
)
def test_the_state(measurements: Measurements, state: State) -> None:
    assert classify(SUBJECT, measurements, minutes(99)).state == state


def test_data_fault_lists_faulty_features_and_no_drift() -> None:
    verdict = classify(SUBJECT, replace(LOUD, scores=(*LOUD.scores, score("feature", "y", 9))), minutes(99))
    assert verdict.drifted == ()
    assert verdict.top_drifted_features == ("x",)


def test_the_strongest_is_blamed_first_each_feature_once() -> None:
    scores = (
        score("feature", "weak", 0.6, 0.5),
        score("feature", "strong", 0.9, 0.1),
        score("feature", "weak", 0.7, 0.5, "other"),
        score("feature", "calm", 0.1, 0.5),
        score("prediction", "", 9.0),
    )
    verdict = classify(SUBJECT, replace(CALM, scores=scores), minutes(99))
    assert verdict.top_drifted_features == ("strong", "weak")
    assert verdict.drifted == ("feature", "prediction")


def test_verdict_id_does_not_depend_on_the_time() -> None:
    early, late = (classify(SUBJECT, CALM, minutes(at)) for at in (99, 9999))
    assert early.verdict_id == late.verdict_id == cause_key("toy", "performance", "ab" * 32, minutes(60))


def test_performance_comes_first_in_the_explanation() -> None:
    scores = (score("feature", "x", 9.0), score("performance", "", 0.7, 0.6, "log_loss"))
    assert classify(SUBJECT, replace(CALM, scores=scores), minutes(99)).explanation == (
        "Compared with the reference of version abababababab: log_loss 0.7 above 0.6, m of x 9 above 0.5."
    )


def test_verdict_has_exceeded_and_strongest_scores() -> None:
    calm = [
        score("feature", f"f{place}", place / 10000, 0.5) for place in range(MAX_SCORES_WITHIN_THRESHOLD + 2)
    ]
    loud = [score("data", "x"), score("feature", "z")]
    whole = [score("prediction", "", 0.0), score("performance", "", 0.0)]
    verdict = classify(SUBJECT, replace(CALM, scores=(*calm, *loud, *whole)), minutes(99))
    assert verdict.scores == (*calm[2:], *loud, *whole)
    assert verdict.state == "data_fault"
    assert classify(SUBJECT, replace(CALM, scores=tuple(calm[2:])), minutes(99)).scores == tuple(calm[2:])


def test_a_threshold_of_zero_is_no_division_by_zero() -> None:
    verdict = classify(SUBJECT, replace(CALM, scores=(score("feature", "x", 1.0, 0.0),)), minutes(99))
    assert verdict.top_drifted_features == ("x",)
