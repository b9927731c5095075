from __future__ import annotations

import numpy as np
import pytest

from services.inference.models.accuracy import check_accuracy, largest_difference
from shared.errors import UnservableModel

EXACT = np.array([[0.5, 0.25], [1000.0, -2.0], [0.0, 1.0]], np.float32)


def test_difference_is_absolute_for_small_and_relative_for_large_numbers() -> None:
    answered = EXACT + np.array([[0.0, 0.02], [10.0, 0.0], [0.0, 0.0]], np.float32)
    difference, row = largest_difference(answered, EXACT)
    assert (round(difference, 6), row) == (0.02, 0)
    answered[1, 0] = 1100.0
    difference, row = largest_difference(answered, EXACT)
    assert (round(difference, 6), row) == (0.1, 1)


def test_refusal_has_figures_and_what_to_set() -> None:
    answered = EXACT.copy()
    answered[2, 1] = 0.75
    assert check_accuracy(answered, EXACT, form="fp16", tolerance=0.3) == 0.25
    with pytest.raises(UnservableModel) as caught:
        check_accuracy(answered, EXACT, form="fp16", tolerance=0.2)
    assert caught.value.message == (
        "in fp16 reference row 2 is answered with 0.75, in float32 with 1; the difference 0.25 is beyond 0.2"
    )
    assert "HOMEOSTAT_INFERENCE_PRECISION_BY_MODEL" in caught.value.hint


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answer_that_is_no_number_is_beyond_every_tolerance(value: float) -> None:
    answered = EXACT.copy()
    answered[1, 1] = value
    with pytest.raises(UnservableModel, match=f"reference row 1 is answered with {value:g}"):
        check_accuracy(answered, EXACT, form="fp16", tolerance=1e9)
