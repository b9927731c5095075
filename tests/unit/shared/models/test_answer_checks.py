"""The row of a bad output; tests/conformance/test_model_contract.py has the signatures."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import UnservableModel
from shared.models.answer_checks import (
    answer_check,
    check_finite,
    check_probabilities,
    check_rows,
)


def test_first_row_that_is_not_finite() -> None:
    with pytest.raises(UnservableModel, match="not finite for row 12"):
        check_finite(np.array([[0.0, 1.0], [0.0, 1.0], [0.0, np.inf]]), first_row=10)


def test_scores_are_flat_and_tensors_keep_their_shape() -> None:
    assert check_rows(np.zeros((3, 1)), 3, scores=True).shape == (3,)
    assert check_rows(np.zeros((3, 2)), 3, scores=False).shape == (3, 2)


def test_every_class_has_a_probability() -> None:
    assert check_rows(np.zeros((3, 2)), 3, scores=False, width=2).shape == (3, 2)
    with pytest.raises(UnservableModel, match=r"returned shape \[3, 1\] for 3 rows") as raised:
        check_rows(np.zeros((3, 1)), 3, scores=False, width=2)
    assert raised.value.hint == "return one row of 2 numbers per row"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([2.0, -1.0], "the probabilities of row 11 sum to 1, the smallest is -1"),
        ([1.5, 1.5], "the probabilities of row 11 sum to 3, the smallest is 1.5"),
        ([0.5, 0.497], "the probabilities of row 11 sum to 0.997, the smallest is 0.497"),
    ],
)
def test_first_row_that_is_no_distribution_is_named(row: list[float], said: str) -> None:
    with pytest.raises(UnservableModel) as raised:
        check_probabilities(np.array([[0.25, 0.75], row, [9.0, 9.0]], np.float32), first_row=10)
    assert raised.value.message == said
    assert (
        raised.value.hint
        == "end the model with a softmax over the classes (axis 1), so that each row sums to 1"
    )


def test_rounding_of_a_softmax_is_tolerated() -> None:
    check_probabilities(np.array([[0.5, 0.501]], np.float32))


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([0.5, 7.0], r"outside \[0, 1\]: row 1 has 7"),
        ([-0.25, 0.5], r"outside \[0, 1\]: row 0 has -0.25"),
        ([0.5, np.nan], "not finite for row 1"),
        ([np.inf, 0.5], "not finite for row 0"),
    ],
)
def test_answer_that_is_no_probability_is_refused(answers: list[float], problem: str) -> None:
    with pytest.raises(UnservableModel, match=problem):
        answer_check("probability")(np.array(answers, np.float32))


def test_probabilities_and_their_rounding_pass() -> None:
    answer_check("probability")(np.array([0.0, 0.5, 1.0, 1.0000001], np.float32))
    answer_check("classes")(np.array([[0.25, 0.75]], np.float32))


def test_answer_that_is_no_distribution_is_refused() -> None:
    with pytest.raises(UnservableModel, match="the probabilities of row 0 sum to 3"):
        answer_check("classes")(np.array([[1.5, 1.5]], np.float32))
    with pytest.raises(UnservableModel, match="not finite for row 0"):
        answer_check("classes")(np.array([[np.nan, 1.0]], np.float32))


@pytest.mark.parametrize("kind", ["value", "values", "embedding", "tensor"])
def test_numbers_of_any_size_are_answers_of_other_kinds(kind: str) -> None:
    answer_check(kind)(np.array([[7.0, -2.0]], np.float32))
    with pytest.raises(UnservableModel, match="not finite"):
        answer_check(kind)(np.array([[7.0, np.nan]], np.float32))
