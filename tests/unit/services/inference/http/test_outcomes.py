"""Outcomes of a model with classes are labels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.class_model import ANIMALS, put_classes, serving_classes
from tests.fakes.inference_server import IDS, InferenceServer
from tests.fakes.toy_model import ToyStore
from tests.fakes.vector_model import EMBEDDING, embedding_loop, serving, values_loop


def test_outcomes_are_labels(toys: ToyStore) -> None:
    server = serving_classes(toys)
    items = [{"prediction_id": IDS.make("animals"), "value": label} for label in ("bird", "cat")]
    assert server.ask("POST", "/outcomes", json={"outcomes": items}).status_code == 202
    (record,) = server.spool.outcomes
    assert (record["labels"], record["values"]) == (["bird", "cat"], [None, None])


def test_outcomes_of_models_not_loaded_are_named_together(toys: ToyStore) -> None:
    toys.release(put_classes(toys).version, model="animals")
    toys.put_and_release(0.25)
    server = InferenceServer(toys, only=("animals",))
    ours = {"prediction_id": IDS.make("animals"), "value": "cat"}
    early = {"prediction_id": IDS.make("toy"), "value": 1}
    answer = server.ask("POST", "/outcomes", json={"outcomes": [ours, early, ours, early]})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert answer.json() == {
        "error": "model toy is not loaded here, so its outcomes cannot be checked",
        "hint": "retry later; /status shows which models are loaded and why others are not",
        "rows": [1, 3],
    }
    assert server.spool.outcomes == []


@pytest.mark.parametrize(("event_time", "bound"), [({}, None), ({"bound": "400d"}, 400 * 86_400_000_000)])
def test_outcomes_state_the_time_bound_of_the_live_version(
    toys: ToyStore, event_time: dict[str, str], bound: int | None
) -> None:
    server = serving(toys, values_loop(event_time=event_time))
    item = {"prediction_id": IDS.make("ranges"), "value": {"high": 3, "low": 1, "mid": 2.5}}
    assert server.ask("POST", "/outcomes", json=item).status_code == 202
    (record,) = server.spool.outcomes
    assert record["time_bound"] == bound


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


def test_outcomes_of_values_are_numbers_by_name(toys: ToyStore) -> None:
    server = serving(toys, values_loop())
    item = {"prediction_id": IDS.make("ranges"), "value": {"high": 3, "low": 1, "mid": 2.5}}
    assert server.ask("POST", "/outcomes", json=item).status_code == 202
    (record,) = server.spool.outcomes
    assert (record["numbers"], record["values"], record["labels"]) == (
        [{"low": 1.0, "mid": 2.5, "high": 3.0}],
        [None],
        None,
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.0,
        [1.0, 2.0, 3.0],
        {"low": 1.0, "mid": 2.0},
        {"low": 1.0, "mid": 2.0, "high": True},
        {"low": 1.0, "mid": 2.0, "high": "3"},
        {"low": 1.0, "mid": 2.0, "high": 3.0, "top": 4.0},
    ],
)
def test_outcome_of_values_needs_a_number_for_each_name(toys: ToyStore, value: Any) -> None:
    server = serving(toys, values_loop())
    answer = server.ask("POST", "/outcomes", json={"prediction_id": IDS.make("ranges"), "value": value})
    assert answer.status_code == 422
    assert (
        answer.json()["expected"]
        == 'an object with a finite number for each name: {"low": …, "mid": …, "high": …}'
    )
    assert server.spool.outcomes == []


@pytest.mark.parametrize("prediction", [EMBEDDING, {"kind": "tensor", "output": "vector"}])
def test_outcome_of_a_model_without_loss_is_refused(toys: ToyStore, prediction: dict[str, Any]) -> None:
    server = serving(toys, embedding_loop(prediction=prediction))
    item = {"prediction_id": IDS.make("vectors"), "value": 1.0}
    answer = server.ask("POST", "/outcomes", json=item)
    assert answer.status_code == 422
    assert answer.json() == {
        "error": f"outcome 0 is of model vectors, whose prediction is of kind {prediction['kind']}",
        "field": "value",
        "expected": "outcomes of other models only; predictions of this kind have no outcomes",
        "row": 0,
    }
    assert server.spool.outcomes == []


@pytest.mark.parametrize("value", ["good", 0.5])
def test_text_outcome_error_names_the_positive_class(toys: ToyStore, value: Any) -> None:
    toys.put_and_release(0.25, kind="probability")
    answer = InferenceServer(toys).ask(
        "POST", "/outcomes", json={"prediction_id": IDS.make("toy"), "value": value}
    )
    assert answer.status_code == 422
    assert answer.json()["expected"] == "0 or 1"
    hint = (
        "of two classes, the outcome is 1 for the positive class and 0 for the other; `prediction.positive` in loop.yaml "
        "names the positive class"
    )
    assert answer.json().get("hint") == (hint if isinstance(value, str) else None)


def test_unknown_fields_are_named_in_order(toys: ToyStore) -> None:
    """Sets have another order in each process: the error must not."""
    server = serving_classes(toys)
    item = {
        "prediction_id": IDS.make("animals"),
        "value": "cat",
        **dict.fromkeys("zyxwvutsrqponmlkjihgfedcba", 1),
    }
    assert server.ask("POST", "/outcomes", json=item).json()["field"] == "a"
