"""The probe: what it finds in a model, and how often it runs it. Models are functions of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shared.contracts.feature import Feature
from shared.contracts.prediction import Prediction
from shared.errors import UnservableModel
from shared.models.probe import SAMPLE, UNKNOWN, Run, probe

FEATURES = [Feature(name="x", type="number", nullable=True), Feature(name="i", type="integer")]
ROWS = pa.table({"x": np.linspace(0.1, 0.9, 200), "i": np.arange(200)})


def x_of(rows: pa.Table) -> np.ndarray[Any, Any]:
    return np.asarray(rows["x"].fill_null(0.5).to_numpy(), np.float32)


class Model:
    """Answers x, and remembers the sizes of its batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, rows: pa.Table) -> np.ndarray[Any, Any]:
        self.sizes.append(rows.num_rows)
        return x_of(rows)


def refused(run: Run, rows: pa.Table = ROWS, kind: str = "probability") -> UnservableModel:
    with pytest.raises(UnservableModel) as error:
        probe(run, FEATURES, Prediction.model_validate({"kind": kind}), rows)
    return error.value


def test_rows_are_run_twice_in_small_batches_and_alone() -> None:
    model = Model()
    probe(model, FEATURES, Prediction(kind="probability"), ROWS)
    assert model.sizes == [32, 32, 5, 5, 5, 5, 5, 5, 2, *[1] * 32, 32]
    assert SAMPLE == 32


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_few_rows_still_make_two_batches(rows: int) -> None:
    model = Model()
    probe(model, FEATURES[1:], Prediction(kind="value"), ROWS.slice(0, rows))
    assert max(model.sizes) > 5


def test_without_rows_nothing_is_run() -> None:
    model = Model()
    probe(model, FEATURES, Prediction(kind="value"), ROWS.slice(0, 0))
    assert model.sizes == []


def test_other_scores_for_the_same_rows_are_refused() -> None:
    random = np.random.default_rng(1)
    dropout = lambda rows: x_of(rows) * random.integers(0, 2, rows.num_rows)  # noqa: E731
    error = refused(dropout)
    assert error.message == "the model gives different scores for the same rows"
    assert "dropout" in error.hint


@pytest.mark.parametrize(
    "run",
    [
        lambda rows: x_of(rows) - x_of(rows).mean(),
        lambda rows: x_of(rows) * (rows.num_rows > 1),
        lambda rows: x_of(rows) + np.arange(rows.num_rows) * 0.01,
        lambda rows: np.full(rows.num_rows, x_of(rows)[0]),
        lambda rows: x_of(rows) * (rows.num_rows != 5),
    ],
    ids=["batch mean", "one row", "place in the batch", "first row", "batch size"],
)
def test_score_that_depends_on_the_batch_is_refused(run: Run) -> None:
    assert "depends on other rows in the batch" in refused(run, kind="value").message


def test_first_row_that_depends_on_the_batch_is_named() -> None:
    def last_is_wrong(rows: pa.Table) -> np.ndarray[Any, Any]:
        return np.where((rows["i"].to_numpy() == 199) & (rows.num_rows == 1), 0, x_of(rows))

    assert "score of row 199 depends" in refused(last_is_wrong).message


def test_difference_within_the_tolerance_passes() -> None:
    nearly = lambda rows: x_of(rows) * (1 + 5e-4 * (rows.num_rows == 1))  # noqa: E731
    assert "depends on other rows" in refused(nearly).message
    probe(nearly, FEATURES, Prediction(kind="probability"), ROWS, tolerance=1e-3)


def test_tensors_of_another_shape_in_another_batch_are_refused() -> None:
    wide = lambda rows: np.zeros((rows.num_rows, rows.num_rows))  # noqa: E731
    assert "depends on other rows" in refused(wide, kind="tensor").message


def test_missing_values_reach_the_model() -> None:
    def fails(rows: pa.Table) -> np.ndarray[Any, Any]:
        if rows["x"].null_count:
            raise UnservableModel("the model returned a value that is not finite for row 0")
        return x_of(rows)

    assert "not finite" in refused(fails).message


@pytest.mark.parametrize("factor", [-1.0, 3.0])
def test_probability_outside_0_and_1_is_refused(factor: float) -> None:
    assert "outside [0, 1]" in refused(lambda rows: factor * x_of(rows)).message


def test_probability_may_be_rounded_above_1() -> None:
    probe(
        lambda rows: np.full(rows.num_rows, 1.0000001, np.float32),
        FEATURES,
        Prediction(kind="probability"),
        ROWS,
    )


def test_probabilities_of_classes_sum_to_1() -> None:
    classes = Prediction(kind="classes", labels=("a", "b"))
    probe(lambda rows: np.full((rows.num_rows, 2), 0.5), FEATURES, classes, ROWS)
    with pytest.raises(UnservableModel, match="sum to 1.2"):
        probe(lambda rows: np.full((rows.num_rows, 2), 0.6), FEATURES, classes, ROWS)


def shop(**changes: Any) -> Feature:
    return Feature(
        name="shop", type="category", **{"values": tuple(f"s{place}" for place in range(70)), **changes}
    )


def knows(*refused_values: str) -> Run:
    """A model that fails on rows with one of the values."""

    def run(rows: pa.Table) -> np.ndarray[Any, Any]:
        for value in rows["shop"].to_pylist():
            if value in refused_values:
                raise UnservableModel(f"the model failed: {value}")
        return np.zeros(rows.num_rows)

    return run


SHOPS = pa.table({"shop": pa.array(["s0", "s1"] * 50).dictionary_encode()})


@pytest.mark.parametrize("value", ["s0", "s37", "s69"])
def test_listed_category_that_the_model_does_not_know_is_named(value: str) -> None:
    rows = SHOPS if value != "s0" else SHOPS.filter(pa.array([False, True] * 50))
    with pytest.raises(UnservableModel, match=f"the model fails on the value '{value}' of shop") as refused:
        probe(knows(value), [shop()], Prediction(kind="value"), rows)
    assert refused.value.hint.startswith(f"remove '{value}' from the values of shop in loop.yaml")


def test_unknown_categories_that_are_served_are_tried() -> None:
    with pytest.raises(UnservableModel, match="the model fails on an unknown value of shop") as refused:
        probe(knows(UNKNOWN), [shop(unknown="serve")], Prediction(kind="value"), SHOPS)
    assert "set `unknown: refuse` for shop" in refused.value.hint
    probe(knows(UNKNOWN), [shop()], Prediction(kind="value"), SHOPS)
    probe(knows(), [shop(unknown="serve", values=())], Prediction(kind="value"), SHOPS)
