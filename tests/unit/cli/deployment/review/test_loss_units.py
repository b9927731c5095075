"""Warnings about numbers that are compared with the loss: a log loss of 0.5, and errors of minutes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cli.deployment.review.deployed_rows import DeployedRows
from cli.deployment.review.loss_units import loss_warnings
from cli.deployment.review.review import review
from shared.models.answers import answer_columns
from tests.fakes.class_model import class_loop
from tests.unit.cli.deployment.review.conftest import ROWS, MakeLoop, rows, table

WINDOW = {"window": {"every": "4d"}}


def texts(*arguments: Any) -> list[str]:
    return [warning.text for warning in loss_warnings(*arguments)]


def minutes(spread: float = 44.0) -> dict[str, Any]:
    """Arrival times with a mean absolute error of about 35 minutes; without the model it is about 80."""
    random = np.random.default_rng(7)
    truth = random.normal(200, 100, ROWS)
    return {"outcome": truth, "score": truth + random.normal(0, spread, ROWS)}


def test_suitable_numbers_give_no_warning(make_loop: MakeLoop) -> None:
    assert texts(make_loop(metric={"name": "log_loss", "floor": 0.65}), rows(days_trained=20)) == []
    drift = WINDOW | {"loss_increase": 2}
    assert texts(make_loop(kind="value", drift=drift), rows(**minutes())) == []


def test_floor_below_the_reference_is_named(make_loop: MakeLoop) -> None:
    assert texts(make_loop(metric={"name": "log_loss", "floor": 0.3}), rows()) == [
        "metric.floor: the log_loss of the reference is 0.5004, above the floor of 0.3, so a window without any change counts as "
        "drift; set it above 0.5004, to the log_loss at which the model is no longer useful"
    ]


def test_default_tolerance_is_nothing_for_minutes(make_loop: MakeLoop) -> None:
    assert texts(make_loop(kind="value"), rows(**minutes())) == [
        "drift.loss_increase: is not set; its default 0.02 is 0.06% of the reference's mae of 34.99, so any increase that is not "
        "noise counts as drift, however small; set it in the unit of mae, such as 1.7; set 0 if every increase should count"
    ]
    [written] = texts(make_loop(kind="value", drift=WINDOW | {"loss_increase": 0.01}), rows(**minutes()))
    assert written.startswith("drift.loss_increase: 0.01 is 0.03% of")
    assert texts(make_loop(kind="value", drift=WINDOW | {"loss_increase": 0}), rows(**minutes())) == []


def test_small_tolerance_is_a_choice_where_losses_have_no_unit(make_loop: MakeLoop) -> None:
    assert texts(make_loop(drift=WINDOW | {"loss_increase": 0.001}), rows()) == []


def test_constant_answer_of_mae_is_the_median(make_loop: MakeLoop) -> None:
    """Of an exponential distribution with mean 10, it is 10 ln 2 from the median, and 20 / e from the mean."""
    outcome = np.random.default_rng(7).exponential(10, ROWS)
    loop = make_loop(kind="value", drift=WINDOW | {"loss_increase": 6.5})
    [found] = loss_warnings(loop, rows(outcome=outcome, score=outcome + 1))
    assert "the 6.957 of always giving the same answer" in found.message


def test_rmse_is_in_the_unit_of_the_outcome(make_loop: MakeLoop) -> None:
    [found] = loss_warnings(make_loop(kind="value", metric={"name": "rmse"}), rows(**minutes()))
    assert "0.05% of the reference's rmse of 43.94," in found.message


@pytest.mark.parametrize(("increase", "warned"), [(0.55, True), (0.45, False)])
def test_tolerance_that_hides_all_skill_is_named(increase: float, warned: bool, make_loop: MakeLoop) -> None:
    found = texts(make_loop(drift=WINDOW | {"loss_increase": increase}), rows())
    expected = (
        "drift.loss_increase: 0.55 above the reference's log_loss of 0.5004 is more than twice that, and more than the 0.6931 of "
        "always giving the same answer, so a model without any skill would raise no alarm; set it in the unit of log_loss, such "
        "as 0.025"
    )
    assert found == ([expected] if warned else [])


def test_default_tolerance_hides_all_skill_for_rare_outcomes(make_loop: MakeLoop) -> None:
    """Three outcomes in three thousand rows: the log loss of always answering 0.001 is 0.008."""
    outcome = np.zeros(ROWS)
    outcome[[500, 1500, 2500]] = 1.0
    [found] = loss_warnings(make_loop(), rows(outcome=outcome, score=np.where(outcome == 1, 0.2, 0.001)))
    assert found.key == "drift.loss_increase"
    assert "0.02 above the reference's log_loss of 0.002609" in found.message
    assert "the 0.007907 of always giving the same answer" in found.message


def test_nearly_perfect_model_keeps_the_default(make_loop: MakeLoop) -> None:
    outcome = table()["outcome"].to_numpy()
    assert texts(make_loop(), rows(score=np.where(outcome == 1, 0.999, 0.001))) == []


def test_gain_that_nothing_reaches_is_named(make_loop: MakeLoop) -> None:
    gate = {"holdout": "7d", "minimum_gain": 0.55}
    assert texts(make_loop(gate=gate), rows()) == [
        "gate.minimum_gain: the log_loss of the reference is 0.5004, so not even a perfect challenger could gain more "
        "than 0.55; set "
        "it below 0.5004, in the unit of log_loss"
    ]


def test_small_holdout_is_named(make_loop: MakeLoop) -> None:
    assert texts(make_loop(), rows(days_trained=29)) == [
        "drift.window.minimum_rows: 99 rows with outcomes are newer than the training rows, fewer than 200, so the "
        "reference's loss "
        "includes rows that the model was trained on, and new rows seem to have a higher loss; give a --holdout of at least 200 "
        "rows with outcomes, all newer than those of --train"
    ]


def test_loss_is_that_of_held_out_rows(make_loop: MakeLoop) -> None:
    """In the training rows the model is perfect: compared with all rows, the floor would seem to be above the loss."""
    made = table()
    score = made["score"].to_numpy().copy()
    score[:2000] = np.where(made["outcome"].to_numpy()[:2000] == 1, 0.999, 0.001)
    loop = make_loop(metric={"name": "log_loss", "floor": 0.4})
    assert texts(loop, rows(score=score)) == []
    [found] = loss_warnings(loop, rows(score=score, days_trained=21))
    assert found.key == "metric.floor"


def test_classes_are_compared_with_the_shares_of_their_labels() -> None:
    random = np.random.default_rng(7)
    truth = random.integers(0, 3, ROWS)
    loop = class_loop(drift={"window": {"every": "4d"}, "loss_increase": 0.9})
    scores = np.full((ROWS, 3), 0.2, np.float32)
    scores[np.arange(ROWS), truth] = 0.6
    labels = np.array(["cat", "dog", "bird"])
    made = table(outcome=labels[truth]).drop_columns(["score"])
    for name, column in answer_columns(loop.prediction, scores).items():
        made = made.append_column(name, column)
    [found] = loss_warnings(loop, DeployedRows(made, made))
    assert "0.9 above the reference's log_loss of 0.5108" in found.message
    assert "the 1.098 of always giving the same answer" in found.message


def test_rows_without_outcomes_and_tensors_have_no_loss(make_loop: MakeLoop) -> None:
    floor = {"name": "log_loss", "floor": 0.1}
    assert texts(make_loop(metric=floor), rows(outcome=np.full(ROWS, np.nan))) == []
    assert texts(make_loop(kind="tensor"), rows()) == []


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_loss_of_several_values_is_compared_with_one_constant_per_name(
    make_loop: MakeLoop, metric: str
) -> None:
    """Names with the means 0 and 1000: one constant for both would have a loss of 500."""
    loop = make_loop(
        prediction={"kind": "values", "names": ["low", "high"]},
        metric={"name": metric, "floor": 0.5},
        drift=WINDOW | {"loss_increase": 3.0},
    )
    true = np.random.default_rng(7).uniform([-5, 995], [5, 1005], (ROWS, 2))
    true[0, 1] = np.nan
    outcome = pa.array([{"low": low, "high": high} for low, high in true.tolist()])
    found = loss_warnings(loop, rows(outcome=outcome, scores=list((true + 1).astype(np.float32))))
    assert [one.key for one in found] == ["metric.floor", "drift.loss_increase"]
    assert f"the {metric} of the reference is 1," in found[0].message
    shown = float(found[1].message.split("more than the ")[1].split(" of")[0])
    assert shown == pytest.approx(CONSTANTS[metric], rel=0.03)


# Of a uniform distribution from -5 to 5: the mean absolute deviation, and the standard deviation.
CONSTANTS = {"mae": 2.5, "rmse": 10 / 12**0.5}


@pytest.mark.parametrize("prediction", [{"kind": "embedding", "size": 2}, {"kind": "tensor"}])
def test_model_without_loss_has_no_warnings_about_one(
    make_loop: MakeLoop, prediction: dict[str, Any]
) -> None:
    loop = make_loop(prediction=prediction)
    made = rows()
    without = DeployedRows(made.given.drop_columns(["outcome"]), made.reference.drop_columns(["outcome"]))
    assert review(loop, without) == []
