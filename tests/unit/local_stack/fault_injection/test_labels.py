"""Outcomes of injected rows."""

from __future__ import annotations

import numpy as np
import pytest

from local_stack.fault_injection.labels import label_outcomes, outcomes
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.prediction import Prediction
from tests.fakes.vector_model import values_loop
from tests.unit.local_stack.fault_injection.reference import loop

RANDOM = np.random.default_rng(1)
OWN = np.array([1.0, 0.0, 1.0, 0.0])
SCORED = np.array([0.9, 0.2, 0.6, 0.5])


def regression() -> LoopSpec:
    whole = loop().model_dump(mode="json")
    whole["prediction"], whole["metric"] = {"kind": "value"}, {"name": "mae"}
    return LoopSpec.model_validate(whole)


def test_own_outcomes_are_kept() -> None:
    assert outcomes("own", loop(), OWN, SCORED, SCORED, RANDOM).tolist() == OWN.tolist()


def test_reversed_outcomes_are_opposite() -> None:
    assert outcomes("reversed", loop(), OWN, SCORED, SCORED, RANDOM).tolist() == [0.0, 1.0, 0.0, 1.0]
    assert (outcomes("reversed", regression(), OWN, SCORED, SCORED, RANDOM) - OWN).tolist() == [1.5] * 4


def test_expected_outcomes_keep_the_loss() -> None:
    answered = np.repeat([0.1, 0.9], 5000)
    outcomes_drawn = outcomes("expected", loop(), answered, answered, answered, RANDOM)
    assert outcomes_drawn[:5000].mean() == pytest.approx(0.1, abs=0.02)
    assert outcomes_drawn[5000:].mean() == pytest.approx(0.9, abs=0.02)
    moved = outcomes("expected", regression(), OWN, SCORED, SCORED + 7, RANDOM)
    assert (moved - (SCORED + 7)).tolist() == pytest.approx((OWN - SCORED).tolist())


def test_unanswered_row_has_no_outcome() -> None:
    assert np.isnan(outcomes("expected", loop(), OWN, SCORED, np.full(4, np.nan), RANDOM)).all()


@pytest.mark.parametrize("labels", [("cat", "dog", "bird"), (3, 5, 8)])
def test_outcomes_of_classes_are_labels(labels: tuple[int | str, ...]) -> None:
    prediction = Prediction(kind="classes", labels=labels)
    own = [labels[0], labels[2], None]
    rows = [{str(labels[0]): 0.2, str(labels[1]): 0.8}, None, {str(labels[2]): 1.0}]
    assert label_outcomes("own", prediction, own, rows, RANDOM) == own
    assert label_outcomes("reversed", prediction, own, rows, RANDOM) == [labels[1], labels[0], None]
    assert label_outcomes("expected", prediction, own, rows, RANDOM)[1:] == [None, labels[2]]
    drawn = label_outcomes("expected", prediction, own * 1000, rows[:1] * 3000, RANDOM)
    assert drawn.count(labels[1]) / 3000 == pytest.approx(0.8, abs=0.03)
    assert set(drawn) == set(labels[:2])


def test_outcomes_of_several_values_are_rows_of_numbers() -> None:
    spec = values_loop(("low", "high"))
    own = np.array([[1.0, 10.0], [3.0, 10.0]])
    scored = own - [0.5, 1.0]
    assert outcomes("own", spec, own, scored, scored, RANDOM) is own
    moved = outcomes("reversed", spec, own, scored, scored, RANDOM) - own
    assert moved.tolist() == [[3.0, 3.0]] * 2  # three standard deviations; a constant moves by three
    answered = np.array([[7.0, 8.0], [np.nan, np.nan]])
    expected = outcomes("expected", spec, own, scored, answered, RANDOM)
    assert expected.tolist()[0] == [7.5, 9.0]
    assert np.isnan(expected[1]).all()
