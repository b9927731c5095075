"""Outcomes of a model with classes are labels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.class_model import ANIMALS, serving_classes
from tests.fakes.inference_server import IDS
from tests.fakes.toy_model import ToyStore


def test_outcomes_are_labels(toys: ToyStore) -> None:
    server = serving_classes(toys)
    items = [{"prediction_id": IDS.make("animals"), "value": label} for label in ("bird", "cat")]
    assert server.ask("POST", "/outcomes", json={"outcomes": items}).status_code == 202
    (record,) = server.spool.outcomes
    assert (record["labels"], record["values"]) == (["bird", "cat"], [None, None])


@pytest.mark.parametrize(
    ("labels", "value", "said", "expected"),
    [
        (ANIMALS, "fish", "is 'fish'", "one of cat, dog, bird"),
        (ANIMALS, 1, "is 1", "one of cat, dog, bird"),
        (ANIMALS, None, "is missing", "one of cat, dog, bird"),
        ((3, 5, 8), "3", "is '3'", "one of 3, 5, 8"),
        ((3, 5, 8), 3.0, "is 3.0", "one of 3, 5, 8"),
        ((3, 5, 8), 4, "is 4", "one of 3, 5, 8"),
    ],
)
def test_unknown_label_is_refused_with_the_known_ones(
    toys: ToyStore, labels: tuple[int | str, ...], value: Any, said: str, expected: str
) -> None:
    server = serving_classes(toys, labels)
    item = {"prediction_id": IDS.make("animals"), "value": value}
    answer = server.ask("POST", "/outcomes", json=item)
    assert answer.status_code == 422
    assert answer.json() == {
        "error": f"`value` of outcome 0 {said}",
        "field": "value",
        "expected": expected,
        "row": 0,
    }
    assert server.spool.outcomes == []
