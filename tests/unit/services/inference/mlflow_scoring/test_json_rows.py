"""The four forms of MLflow's scoring requests as rows."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from services.inference.mlflow_scoring.json_rows import read_invocation, rows_of
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest
from tests.unit.services.inference.mlflow_scoring.damage import ATTEMPTS, refused_of_damaged

A, B = Feature(name="a", type="number", nullable=True), Feature(name="b", type="integer")
IMAGE = Feature(name="image", type="tensor", shape=(1,))
ROWS = [{"a": 1.5, "b": 2}, {"a": None, "b": 3}]


def rows(document: Any, *features: Feature) -> Any:
    return rows_of(read_invocation(orjson.dumps(document)), features or (A, B))


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["a", "b"], "index": [7, 8], "data": [[1.5, 2], [None, 3]]}},
        {"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1.5], [3, None]]}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"inputs": ROWS},
        {"inputs": {"a": [1.5, None], "b": [2, 3]}},
        {"inputs": {"a": [[1.5], [None]], "b": [2, 3]}},
    ],
)
def test_every_form_has_the_same_rows(document: Any) -> None:
    assert rows(document) == ROWS


def test_one_feature_needs_no_name() -> None:
    assert rows({"instances": [1, 2]}, B) == rows({"inputs": [1, 2]}, B) == [{"b": 1}, {"b": 2}]
    assert rows({"inputs": [[1], [2]]}, B) == [{"b": 1}, {"b": 2}]
    assert rows({"inputs": [[1], [2]]}, IMAGE) == [{"image": [1]}, {"image": [2]}]


def test_rows_of_a_tensor_are_not_unwrapped() -> None:
    assert rows({"inputs": {"image": [[1], [2]]}}, IMAGE) == [{"image": [1]}, {"image": [2]}]


def test_nan_is_null_outside_of_texts() -> None:
    body = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[NaN, "NaN, \\"NaN"], [1, NaN]]}}'
    assert rows_of(read_invocation(body), (A, B)) == [{"a": None, "b": 'NaN, "NaN'}, {"a": 1, "b": None}]


@pytest.mark.parametrize("body", [b'{"inputs": [Infinity]}', b'{"inputs": [NaNa]}', b'{"inputs": ["NaN]'])
def test_other_words_are_no_json(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="the body is not JSON"):
        read_invocation(body)


@pytest.mark.parametrize(
    "body", [b'\\"' * 200_000 + b"NaN", b'"' + b"\\" * 400_001 + b"NaN", b"N" * 400_000 + b"NaN"]
)
def test_hostile_text_is_read_in_linear_time(body: bytes) -> None:
    start = time.process_time()
    with pytest.raises(InvalidRequest):
        read_invocation(body)
    assert time.process_time() - start < 5


def test_too_many_nans_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="the body has NaN 1000001 times"):
        read_invocation(b'{"inputs": [' + b"NaN," * 1_000_000 + b"NaN]}")


def test_params_name_model_and_event_time() -> None:
    body = {"inputs": [1], "params": {"model": "toy", "event_time": "2026-01-01T00:00:00Z"}}
    asked = read_invocation(orjson.dumps(body))
    assert (asked.model, asked.event_time) == ("toy", "2026-01-01T00:00:00Z")
    assert read_invocation(b'{"inputs": [1], "params": null}').model is None


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "body"),
        ({}, "body"),
        ({"columns": ["a"], "data": [[1]]}, "columns"),
        ({"inputs": [1], "instances": [1]}, "body"),
        ({"inputs": [1], "signature_name": "s"}, "signature_name"),
        ({"inputs": [1], "params": {"temperature": 1}}, "params"),
        ({"inputs": [1], "params": []}, "params"),
        ({"inputs": [1], "params": {"model": 1}}, "model"),
        ({"inputs": 1}, "inputs"),
        ({"inputs": [[1.5, 2]]}, "inputs"),
        ({"inputs": {"a": 1}}, "a"),
        ({"inputs": {"a": [1, 2], "b": [1]}}, "b"),
        ({"instances": {"a": [1]}}, "instances"),
        ({"instances": [{"a": 1}, 2]}, "instances"),
        ({"dataframe_records": [1]}, "dataframe_records"),
        ({"dataframe_split": [[1]]}, "dataframe_split"),
        ({"dataframe_split": {"data": [[1]]}}, "dataframe_split"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "a"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1]]}}, "dataframe_split"),
        ({"dataframe_split": {"columns": ["a"], "data": {}}}, "dataframe_split"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]], "dtype": "f"}}, "dataframe_split"),
    ],
)
def test_malformed_request_names_its_field(document: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rows(document)
    assert (refused.value.status, refused.value.field) == (400, field)
    assert refused.value.expected


def test_bad_row_is_named() -> None:
    with pytest.raises(InvalidRequest) as refused:
        rows({"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}})
    assert refused.value.row == 1


def test_damaged_requests_are_read_or_refused() -> None:
    valid = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[NaN, 2], [1.5, "\\"NaN"]]}, "params": {"model": "m"}}'
    assert 500 < refused_of_damaged(valid, lambda body: rows_of(read_invocation(body), (A, B))) < ATTEMPTS
