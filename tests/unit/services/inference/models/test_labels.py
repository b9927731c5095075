from __future__ import annotations

import pytest

from services.inference.models.labels import Labels
from shared.contracts.prediction import Prediction


def labels(*values: int | str) -> Labels:
    return Labels(Prediction(kind="classes", labels=values))


@pytest.mark.parametrize("value", [1.0, True, "1", 2, None, [1], {}])
def test_only_a_label_of_the_same_type_is_known(value: object) -> None:
    assert labels(0, 1).text_of(1) == "1"
    assert labels(0, 1).text_of(value) is None


def test_text_is_compared_exactly() -> None:
    assert labels("cat", "dog").text_of("cat") == "cat"
    assert labels("cat", "dog").text_of("Cat") is None


def test_other_kinds_have_no_labels() -> None:
    assert not Labels(Prediction(kind="value"))
