"""Labels in, places out, and back."""

from __future__ import annotations

import doctest

import numpy as np
import pyarrow as pa
import pytest

from shared.contracts.prediction import Prediction
from shared.models import answers
from shared.models.answers import (
    answer_columns,
    are_comparable,
    label_of,
    lake_columns,
    outcome_source,
    outcome_type,
    read_outcomes,
    read_scores,
    typed_outcomes,
)
from tests.fakes.class_model import TABLE

ANIMALS = Prediction(kind="classes", labels=("cat", "dog", "bird"))
DIGITS = Prediction(kind="classes", labels=(3, 5))


@pytest.mark.parametrize(
    ("prediction", "column"),
    [
        (ANIMALS, pa.array(["dog", None, "fish", "cat"])),
        (ANIMALS, pa.array(["dog", None, "fish", "cat"]).dictionary_encode()),
        (DIGITS, pa.array([5, None, 7, 3])),
        (DIGITS, pa.array(["5", None, "7", "3"])),
        (DIGITS, pa.chunked_array([pa.array([5, None]), pa.array([7, 3])])),
    ],
)
def test_outcomes_become_places_of_labels(prediction: Prediction, column: pa.Array) -> None:
    np.testing.assert_array_equal(read_outcomes(prediction, column), [1.0, np.nan, -1.0, 0.0])


def test_numbers_stay_numbers() -> None:
    column = pa.chunked_array([pa.array([1.5, None])])
    np.testing.assert_array_equal(read_outcomes(Prediction(kind="value"), column), [1.5, np.nan])
    scores = read_scores(Prediction(kind="value"), pa.table({"score": [0.5, None]}))
    np.testing.assert_array_equal(scores, [0.5, np.nan])


def test_a_column_of_nulls_has_no_outcome() -> None:
    assert np.isnan(read_outcomes(ANIMALS, pa.nulls(2))).all()


def test_the_answer_is_read_as_it_was_written() -> None:
    columns = answer_columns(ANIMALS, TABLE)
    assert columns["label"].to_pylist() == ["cat", "dog", "bird"]
    assert columns["score"].to_pylist() == [0.75, 0.625, 0.625]
    np.testing.assert_array_equal(read_scores(ANIMALS, pa.table(columns)), TABLE)


def test_rows_without_a_probability_for_every_label_have_no_scores() -> None:
    lists = pa.array([[0.25, 0.5, 0.25], None, [0.5, 0.5]], pa.list_(pa.float32()))
    scores = read_scores(ANIMALS, pa.table({"scores": pa.chunked_array([lists.slice(0, 2), lists.slice(2)])}))
    np.testing.assert_array_equal(scores, [[0.25, 0.5, 0.25], [np.nan] * 3, [np.nan] * 3])


def test_of_equal_probabilities_the_first_label_is_the_answer() -> None:
    columns = answer_columns(DIGITS, np.array([[0.5, 0.5]], np.float32))
    assert columns["label"].to_pylist() == ["3"]


def test_training_data_has_labels_of_the_loop_s_type() -> None:
    assert outcome_type(ANIMALS) == pa.string()
    assert outcome_type(DIGITS) == pa.int64()
    assert outcome_type(Prediction(kind="probability")) == pa.float64()
    assert (label_of(DIGITS, "3"), label_of(DIGITS, "9"), label_of(ANIMALS, "cat")) == (3, "9", "cat")


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(answers)
    assert (results.failed, results.attempted > 0) == (0, True)


RANGES = Prediction(kind="values", names=("low", "high"))
STRUCT = pa.struct([("high", pa.float32()), ("low", pa.int64()), ("mid", pa.float64())])


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", [STRUCT, pa.map_(pa.string(), pa.float64())])
def test_outcomes_of_values_are_read_by_name(kind: pa.DataType, chunked: bool) -> None:
    rows = [{"high": 2.0, "low": 1, "mid": 7.0}, None, {"high": 3.0}]
    given = [row and list(row.items()) for row in rows] if pa.types.is_map(kind) else rows
    column = pa.array(given, kind)
    if chunked:
        column = pa.chunked_array([column.slice(0, 1), column.slice(1)])
    expected = [[1.0, 2.0], [np.nan, np.nan], [np.nan, 3.0]]
    np.testing.assert_array_equal(read_outcomes(RANGES, column), expected)
    typed = typed_outcomes(RANGES, column)
    assert typed.type == outcome_type(RANGES) == pa.struct([("low", pa.float64()), ("high", pa.float64())])
    assert typed.to_pylist() == [{"low": 1.0, "high": 2.0}, None, {"low": None, "high": 3.0}]


def test_column_without_names_has_no_outcomes_of_values() -> None:
    with pytest.raises(pa.ArrowInvalid, match="double has no numbers by name"):
        typed_outcomes(RANGES, pa.chunked_array([pa.array([1.0])]))


@pytest.mark.parametrize("prediction", [RANGES, Prediction(kind="embedding", size=2)])
def test_rows_of_numbers_are_read_as_they_were_written(prediction: Prediction) -> None:
    numbers = np.array([[1.5, -2.0], [0.0, 4.0]], np.float32)
    columns = answer_columns(prediction, numbers)
    assert tuple(columns) == lake_columns(prediction) == ("scores",)
    np.testing.assert_array_equal(read_scores(prediction, pa.table(columns)), numbers)


def test_versions_are_comparable_by_kind_and_names() -> None:
    value, tensor = Prediction(kind="value"), Prediction(kind="tensor")
    assert are_comparable(RANGES, Prediction(kind="values", names=("high", "low")))
    assert not are_comparable(RANGES, Prediction(kind="values", names=("high", "low", "mid")))
    assert are_comparable(ANIMALS, DIGITS)
    assert are_comparable(value, Prediction(kind="probability"))
    for one, other in (
        (RANGES, value),
        (ANIMALS, value),
        (RANGES, ANIMALS),
        (value, tensor),
        (tensor, tensor),
    ):
        assert not are_comparable(one, other)
        assert not are_comparable(other, one)


def test_the_kind_names_the_column_of_its_outcomes() -> None:
    kinds = (RANGES, ANIMALS, Prediction(kind="value"), Prediction(kind="probability"))
    assert [outcome_source(kind) for kind in kinds] == ["values", "label", "value", "value"]
