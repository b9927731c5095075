from __future__ import annotations

import numpy as np

from services.inference.models.labels import Labels
from services.inference.prediction.class_scores import MAX_SCORES, most_probable, scores_by_label
from shared.contracts.prediction import Prediction
from tests.fakes.class_model import ANIMALS, TABLE


def labels(*values: int | str) -> Labels:
    return Labels(Prediction(kind="classes", labels=values))


def test_most_probable_class_and_its_probability() -> None:
    best, scores = most_probable(TABLE)
    assert (best.tolist(), scores) == ([0, 1, 2], [0.75, 0.625, 0.625])
    assert most_probable(np.array([[0.5, 0.5]]))[0].tolist() == [0]


def test_few_classes_have_all_probabilities_in_their_order() -> None:
    first = scores_by_label(TABLE, labels(*ANIMALS))[0]
    assert list(first.items()) == [("cat", 0.75), ("dog", 0.125), ("bird", 0.125)]


def test_many_classes_have_the_greatest_probabilities_first() -> None:
    count = MAX_SCORES + 1
    ascending = np.arange(1, count + 1) / 1000
    rows = scores_by_label(np.array([ascending, ascending[::-1]]), labels(*range(count)))
    assert list(rows[0])[:2] == [str(count - 1), str(count - 2)]
    assert list(rows[1])[:2] == ["0", "1"]
    assert [len(row) for row in rows] == [MAX_SCORES] * 2
    assert rows[0][str(count - 1)] == count / 1000


def test_of_many_equal_probabilities_the_answer_is_shown() -> None:
    count = 5 * MAX_SCORES
    output = np.full((3, count), 1 / count, np.float32)
    output[1, 50] = 0.5
    best, _ = most_probable(output)
    rows = scores_by_label(output, labels(*range(count)))
    assert [next(iter(row)) for row in rows] == [str(place) for place in best] == ["0", "50", "0"]
    assert [len(row) for row in rows] == [MAX_SCORES] * 3
