"""A model with classes over the Open Inference Protocol."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts.loop_spec import LoopSpec
from tests.fakes.class_model import serving_classes
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ToyStore
from tests.fakes.vector_model import LINES, embedding_loop, serving, values_loop


def infer(server: InferenceServer, **parameters: Any) -> dict[str, Any]:
    inputs = [{"name": "line", "datatype": "INT64", "shape": [2], "data": [2, 0]}]
    answer = server.ask("POST", "/v2/models/animals/infer", json={"inputs": inputs, **parameters}).json()
    return {output["name"]: output for output in answer["outputs"]}


def test_infer_answers_probabilities_label_and_score(toys: ToyStore) -> None:
    outputs = infer(serving_classes(toys))
    assert list(outputs) == ["probabilities", "label", "score", "prediction_id"]
    assert outputs["probabilities"]["shape"] == [2, 3]
    assert outputs["probabilities"]["data"] == [0.125, 0.25, 0.625, 0.75, 0.125, 0.125]
    assert outputs["label"] == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["bird", "cat"]}
    assert outputs["score"] == {"name": "score", "datatype": "FP32", "shape": [2], "data": [0.625, 0.75]}


def test_infer_answers_integer_labels_as_integers(toys: ToyStore) -> None:
    outputs = infer(serving_classes(toys, (3, 5, 8)), outputs=[{"name": "label"}])
    assert outputs == {"label": {"name": "label", "datatype": "INT64", "shape": [2], "data": [8, 3]}}


def test_metadata_names_the_labels(toys: ToyStore) -> None:
    about = serving_classes(toys).ask("GET", "/v2/models/animals").json()
    assert about["outputs"] == [
        {
            "name": "probabilities",
            "datatype": "FP32",
            "shape": [-1, 3],
            "parameters": {"kind": "classes", "labels": "cat\ndog\nbird"},
        },
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
        {"name": "score", "datatype": "FP32", "shape": [-1]},
        {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
    ]


@pytest.mark.parametrize(
    ("loop", "name", "parameters"),
    [
        (values_loop(), "numbers", {"kind": "values", "names": "low\nmid\nhigh"}),
        (embedding_loop(), "vector", {"kind": "embedding"}),
    ],
)
def test_infer_answers_rows_of_numbers(
    toys: ToyStore, loop: LoopSpec, name: str, parameters: dict[str, str]
) -> None:
    server = serving(toys, loop)
    about = server.ask("GET", f"/v2/models/{loop.model}").json()["outputs"]
    assert about == [
        {"name": name, "datatype": "FP32", "shape": [-1, 3], "parameters": parameters},
        {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
    ]
    body = {"inputs": [{"name": "line", "datatype": "INT64", "shape": [2], "data": [2, 0]}]}
    answer = server.ask("POST", f"/v2/models/{loop.model}/infer", json=body).json()["outputs"]
    assert [output["name"] for output in answer] == [name, "prediction_id"]
    assert answer[0] == {
        "name": name,
        "datatype": "FP32",
        "shape": [2, 3],
        "data": LINES[[2, 0]].reshape(-1).tolist(),
    }
    assert len(server.spool.predictions) == 1
