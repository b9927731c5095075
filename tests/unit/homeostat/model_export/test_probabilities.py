from __future__ import annotations

import numpy as np
import pytest

from homeostat.model_export.probabilities import are_probabilities, describe, exceed, rows_sum_to_one

ABOVE = float(np.nextafter(np.float32(1), np.float32(2)))


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.0, 1.0], True),
        ([1 - ABOVE, ABOVE], True),
        ([-1e-4, 1 + 1e-4], True),
        ([-2e-4, 0.5], False),
        ([0.5, 1.001], False),
        ([np.nan, 0.5], False),
    ],
)
def test_probabilities_may_exceed_by_rounding(scores: list[float], expected: bool) -> None:
    assert are_probabilities(np.array(scores)) is expected


def test_sums_of_rows_have_the_tolerance_of_the_contract() -> None:
    assert rows_sum_to_one(np.array([[0.5, 0.5009], [ABOVE, 0.0]]))
    assert not rows_sum_to_one(np.array([[0.5, 0.5], [0.5, 0.51]]))


def test_numbers_that_exceed_are_described_to_the_last_step_of_float32() -> None:
    scores = np.array([[1 - ABOVE, ABOVE], [0.25, 0.75]])
    assert exceed(scores)
    assert not exceed(scores[1:])
    assert describe(scores) == "the outputs range from -1.192e-07 to 1.00000012 and their rows sum to 1"
    assert describe(np.array([[1.0, 2.0], [3.0, 4.0]])).endswith("rows sum to between 3 and 7")
    assert describe(np.array([-2.0, 3.5])) == "the outputs range from -2 to 3.5"
