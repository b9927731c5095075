from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from homeostat.model_export.comparison import Comparison, compare, middle_width, scale_of
from homeostat.model_export.prediction_kind import VALUE, Floats, PredictionKind, of_classes, of_values

PROBABILITY = of_classes([0, 1])


def compared(original: list[float], exported: list[float], kind: PredictionKind = PROBABILITY) -> Comparison:
    first, second = np.array(original), np.array(exported)
    rows = pd.DataFrame({"amount": np.arange(len(first)) * 10})
    return compare("the rows", kind, first, second, rows, tolerance=1e-3, scale=scale_of(first))


def test_equal_scores_differ_nowhere() -> None:
    same = compared([0.1, 0.9], [0.1001, 0.9])
    assert (same.differing, same.labels, same.table) == (0, 0, "")
    assert same.accepted(0)
    assert str(same).startswith("the rows: 2 rows, all scores equal")


def test_the_worst_rows_are_shown_with_their_values() -> None:
    found = compared([0.1, 0.49, 0.9, 0.2], [0.1, 0.6, 0.9, 0.25])
    assert (found.differing, found.labels, round(found.largest, 3)) == (2, 1, 0.11)
    assert [line.split() for line in found.table.splitlines()] == [
        ["row", "original", "exported", "amount"],
        ["1", "0.49", "0.60", "10"],
        ["3", "0.20", "0.25", "30"],
    ]


def test_one_row_is_never_too_many() -> None:
    assert compared([0.1, 0.2], [0.1, 0.9]).accepted(0)
    assert not compared([0.1, 0.2], [0.9, 0.9]).accepted(0.5)


def test_a_value_differs_relative_to_the_range_of_scores() -> None:
    assert compared([0, 1000], [0.9, 1000.9], VALUE).differing == 0
    assert compared([0, 1000], [1.1, 1002], VALUE).differing == 2


def test_one_outlier_hides_no_difference_of_values() -> None:
    random = np.random.default_rng(1)
    scores = random.uniform(0, 60, 100)
    scores[5] = 3e7
    found = compared(list(scores), list(scores + np.where(scores < 30, 1.0, 0.0)), VALUE)
    assert found.differing == (scores < 30).sum()
    # The outlier itself is as far from the others as its own difference is large.
    assert compared(list(scores), list(np.where(scores > 60, scores * 1.0009, scores)), VALUE).differing == 0


def test_values_far_from_zero_differ_relative_to_their_range() -> None:
    scores = np.linspace(1e6, 1e6 + 6000, 100)
    assert compared(list(scores), list(scores + 5), VALUE).differing == 0
    assert compared(list(scores), list(scores + 10), VALUE).differing == 100


def test_values_that_are_nearly_all_equal_have_a_scale() -> None:
    assert middle_width(np.array([5.0] * 999 + [105.0])) == 1.0
    assert middle_width(np.array([0.0] * 97 + [100.0] * 3)) == 1.0
    # The middle 90 % are not equal, but for the others they are.
    nearly = [*np.linspace(0.0, 1e-6, 92).tolist(), *[-50.0] * 4, *[50.0] * 4]
    assert middle_width(np.array(nearly)) == 1.0
    assert middle_width(np.full(50, 3.0)) == middle_width(np.empty(0)) == 0.0
    constant = [0.1] * 50
    assert compared(constant, [float(np.float32(0.1))] * 50, VALUE).differing == 0
    assert compared(constant, [0.1001] * 50, VALUE).differing == 50


def test_rare_probabilities_differ_in_log_odds() -> None:
    rare = np.geomspace(3e-6, 3e-5, 50)
    kind = PROBABILITY
    rows = pd.DataFrame({"amount": rare})

    def differing(exported: Floats, original: Floats = rare) -> int:
        scale = scale_of(original)
        return compare("x", kind, original, exported, rows, tolerance=1e-4, scale=scale).differing

    assert differing(rare * 1.001) == 0
    assert differing(rare * 1.1) == 50
    assert differing(1 - rare * 1.1, 1 - rare) == 50
    # What float32 cannot hold near 1, and its Sigmoid not near 0.
    assert differing(rare + 1.5e-7) == 0


def test_rare_probabilities_beside_usual_ones_differ_by_the_tolerance() -> None:
    original = np.concatenate([np.full(50, 1e-5), np.linspace(0.1, 0.9, 50)])
    assert compared(list(original), list(original + 5e-4)).differing == 0


def test_a_score_that_is_not_finite_differs_unless_both_are_not() -> None:
    assert compared([0.1, np.nan], [np.nan, np.nan]).differing == 1


def test_classes_differ_by_their_largest_distance() -> None:
    kind = of_classes(["cat", "dog", "bird"])
    original = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25]])
    exported = np.array([[0.5, 0.3, 0.2], [0.3, 0.45, 0.25]])
    rows = pd.DataFrame({"amount": [1, 2]})
    found = compare("the rows", kind, original, exported, rows, tolerance=1e-3, scale=scale_of(original))
    assert (found.differing, found.labels, round(found.largest, 3)) == (1, 1, 0.1)
    assert found.table.split()[-6:] == ["1", "0.4", "0.3", "cat", "dog", "2"]


def test_each_of_several_values_differs_on_its_own_scale() -> None:
    kind = of_values(("metres", "millimetres"))
    first = np.array([[1.0, 1000.0], [2.0, 2000.0], [3.0, 3000.0]])
    second = first + np.array([[0.0, 1.0], [0.01, 0.0], [np.nan, 0.0]])
    rows = pd.DataFrame({"amount": [1.0, 2.0, 3.0]})
    found = compare("the rows", kind, first, second, rows, tolerance=1e-3, scale=scale_of(first))
    # One millimetre in two thousand is within the tolerance, one centimetre in two metres is not.
    assert (found.differing, found.rows) == (2, 3)
    assert "metres" in found.table
    assert "millimetres" not in found.table


def test_a_value_too_large_for_float32_is_infinite_in_both() -> None:
    assert compared([1.0, 2e73], [1.0, np.inf], VALUE).differing == 0
    assert compared([1.0, 2e30], [1.0, np.inf], VALUE).differing == 1


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["a", None, "b", None, None, "a"], "in all of these rows and in no other row, 'region' is missing"),
        (["a", "n", "b", "n", "n", "a"], "in all of these rows and in no other row, 'region' is 'n'"),
        ([1, 7, 2, 7, 7, 1], "in all of these rows and in no other row, 'region' is '7'"),
        (["n", "n", "b", "n", "n", "a"], ""),
        (["a", "n", "b", "n", None, "a"], ""),
    ],
)
def test_common_value_of_differing_rows_is_reported(column: list[Any], words: str) -> None:
    first = np.full(6, 0.5)
    second = first + np.array([0.0, 0.1, 0.0, 0.1, 0.1, 0.0])
    rows = pd.DataFrame({"amount": np.arange(6.0), "region": column})
    found = compare("the rows", PROBABILITY, first, second, rows, tolerance=1e-3, scale=scale_of(first))
    assert (found.differing, found.shared) == (3, words)
    assert str(found).endswith(words or found.table)


def test_two_rows_that_differ_share_nothing_worth_saying() -> None:
    first = np.full(4, 0.5)
    rows = pd.DataFrame({"region": [None, None, "a", "b"]})
    second = first + np.array([0.1, 0.1, 0.0, 0.0])
    found = compare("the rows", PROBABILITY, first, second, rows, tolerance=1e-3, scale=scale_of(first))
    assert (found.differing, found.shared) == (2, "")
