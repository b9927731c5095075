"""The row of a bad output; tests/conformance/test_model_contract.py has the signatures."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import UnservableModel
from shared.models.answer_checks import check_finite, check_probabilities, check_rows


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
