from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from homeostat.model_export.libraries.class_outputs import class_output, softmax
from shared.errors import ExportRefused

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])
EVEN = np.full((2, 3), 1 / 3)


@pytest.mark.parametrize(
    ("outcomes", "labels", "order"),
    [
        ([2, 0, 2], (0, 1, 2), "0 to 2, as the outcomes are"),
        ([2.0, None, 1.0], (0, 1, 2), "0 to 2, as the outcomes are"),
        (["dog", "cat", "bird"], ("bird", "cat", "dog"), "bird, cat, dog (the outcomes, sorted)"),
        ([7, 30, 5], (5, 7, 30), "5, 7, 30 (the outcomes, sorted)"),
    ],
)
def test_labels_come_from_the_outcomes(outcomes: list[Any], labels: tuple[Any, ...], order: str) -> None:
    output = class_output(EVEN, pd.Series(outcomes), named=None)
    assert (output.labels, output.logits) == (labels, False)
    assert output.notes == (f"labels in the order of the output: {order}",)


def test_given_labels_go_before_those_of_the_file() -> None:
    output = class_output(LOGITS, None, named=list(np.array(["a", "b", "c"])), known=("x", "y", "z"))
    assert (output.labels, output.logits) == (("a", "b", "c"), True)
    assert class_output(LOGITS, None, named=None, known=("x", "y", "z")).labels == ("x", "y", "z")


@pytest.mark.parametrize("outcomes", [None, ["cat", "dog"], [1, 2, 3, 4], ["cat", 1, 2]])
def test_labels_that_cannot_be_told_are_asked_for(outcomes: list[Any] | None) -> None:
    column = None if outcomes is None else pd.Series(outcomes, dtype=object)
    with pytest.raises(ExportRefused, match="3 numbers per row") as refused:
        class_output(EVEN, column, named=None)
    assert "labels=[" in refused.value.hint


def test_number_of_labels_must_fit() -> None:
    with pytest.raises(ExportRefused, match="labels= names 2 different classes, and the model returns 3"):
        class_output(EVEN, None, named=["a", "b", "b"])


def test_several_labels_per_row_are_refused() -> None:
    with pytest.raises(ExportRefused, match="several labels per row"):
        class_output(np.array([[0.9, 0.8, 0.1]]), pd.Series([1]), named=None)


def test_softmax_of_large_logits_is_finite() -> None:
    np.testing.assert_allclose(
        softmax(np.array([[1000.0, 1000.0], [0.0, np.log(3)]])), [[0.5, 0.5], [0.25, 0.75]]
    )
