"""Outputs in the requested form."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from tests.fakes.class_model import serving_classes
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore

INPUT = {"name": "line", "datatype": "INT64", "shape": [2], "data": [2, 0]}


def ask(server: InferenceServer, *outputs: dict[str, Any], **parameters: Any) -> Any:
    body = {"inputs": [INPUT], "outputs": list(outputs), "parameters": parameters}
    return server.ask("POST", "/v2/models/animals/infer", json=body)


def test_outputs_come_in_the_requested_order_and_form(toys: ToyStore) -> None:
    answer = ask(
        serving_classes(toys),
        {"name": "prediction_id", "parameters": {"binary_data": False}},
        {"name": "label"},
        {"name": "score", "parameters": {"binary_data": True}},
        binary_data_output=True,
    )
    length = int(answer.headers["inference-header-content-length"])
    ids, label, score = orjson.loads(answer.content[:length])["outputs"]
    assert [len(identity) for identity in ids["data"]] == [32, 32]
    assert label["parameters"] == {"binary_data_size": 15}
    assert answer.content[length : length + 15] == b"\4\0\0\0bird\3\0\0\0cat"
    assert score["parameters"] == {"binary_data_size": 8}
    assert answer.content[length + 15 :] == np.array([0.625, 0.75], "<f4").tobytes()


def test_ids_left_out_of_the_outputs_are_a_parameter(toys: ToyStore) -> None:
    server = serving_classes(toys)
    answer = ask(server, {"name": "label"}).json()
    assert [one["name"] for one in answer["outputs"]] == ["label"]
    ids = answer["parameters"]["prediction_id"].split(",")
    assert ids == server.spool.predictions[0]["prediction_ids"]


def test_classification_lists_the_top_classes(toys: ToyStore) -> None:
    wanted = {"name": "probabilities", "parameters": {"classification": 2}}
    [output] = ask(serving_classes(toys), wanted).json()["outputs"]
    assert output == {
        "name": "probabilities",
        "datatype": "BYTES",
        "shape": [2, 2],
        "data": ["0.625000:2:bird", "0.250000:1:dog", "0.750000:0:cat", "0.125000:1:dog"],
    }
    wanted = {"name": "probabilities", "parameters": {"classification": 9}}
    [output] = ask(serving_classes(toys), wanted).json()["outputs"]
    assert output["shape"] == [2, 3]


def test_classification_of_other_outputs_is_refused(toys: ToyStore) -> None:
    answer = ask(serving_classes(toys), {"name": "score", "parameters": {"classification": 2}})
    assert (answer.status_code, answer.json()["field"]) == (400, "classification")
    assert "expected `classification` of probabilities only" in answer.json()["error"]


def test_unknown_output_is_refused_with_the_known_ones(toys: ToyStore) -> None:
    answer = ask(serving_classes(toys), {"name": "logits"})
    assert answer.status_code == 400
    assert answer.json()["error"] == (
        "unknown output 'logits'; expected one of probabilities, label, score, prediction_id"
    )


@pytest.mark.parametrize("value", ["yes", 1, 0.5])
def test_flag_that_is_no_boolean_is_refused(toys: ToyStore, value: Any) -> None:
    server = serving_classes(toys)
    for answer in (
        ask(server, binary_data_output=value),
        ask(server, {"name": "label", "parameters": {"binary_data": value}}),
    ):
        assert answer.status_code == 400
        assert "expected true or false" in answer.json()["error"]
    assert server.spool.predictions == []


def test_model_of_one_score_has_no_classes(toys: ToyStore) -> None:
    toys.put_and_release(0.5)
    inputs = [
        {"name": name, "datatype": datatype, "shape": [1], "data": [ROW[name]]}
        for name, datatype in {"count": "INT64", "member": "BOOL", "colour": "BYTES"}.items()
    ]
    body = {"inputs": inputs, "outputs": [{"name": "score", "parameters": {"classification": 1}}]}
    answer = InferenceServer(toys).ask("POST", "/v2/models/toy/infer", json=body)
    assert (answer.status_code, answer.json()["field"]) == (400, "classification")
