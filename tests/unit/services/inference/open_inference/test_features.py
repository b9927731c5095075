"""Timestamps over the Open Inference Protocol are text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from services.inference.models.input_schema import Schema
from services.inference.open_inference.codec import read_request
from services.inference.open_inference.features import describe, read_batch
from shared.contracts.feature import Feature
from shared.contracts.prediction import Prediction
from shared.errors import InvalidRequest

SERVABLE: Any = SimpleNamespace(
    schema=Schema([Feature(name="ordered_at", type="timestamp")]),
    output=SimpleNamespace(name="score", kind="tensor(float)", shape=(None,)),
    scores=True,
    labels=(),
    names=(),
    width=0,
    is_vector=False,
    manifest=SimpleNamespace(prediction=Prediction(kind="value"), model_file="model.onnx"),
    model="orders",
    version="v",
)


def request(datatype: str, data: list[Any]) -> Any:
    tensor = {"name": "ordered_at", "datatype": datatype, "shape": [len(data)], "data": data}
    return read_request(orjson.dumps({"inputs": [tensor]}), None)


def test_timestamps_are_bytes_with_an_offset() -> None:
    [described] = describe(SERVABLE)["inputs"]
    assert (described["datatype"], described["parameters"]["type"]) == ("BYTES", "timestamp")
    batch = read_batch(SERVABLE, request("BYTES", ["2026-03-01T12:00:00Z"]), maximum_rows=10)
    assert batch.feeds["ordered_at"].tolist() == [1_772_366_400_000_000]
    with pytest.raises(InvalidRequest, match="without an offset from UTC"):
        read_batch(SERVABLE, request("BYTES", ["2026-03-01T12:00:00"]), maximum_rows=10)


@pytest.mark.parametrize(
    ("datatype", "data"), [("BOOL", [True, False]), ("INT64", [1, 0]), ("FP64", [1.0, 0.0])]
)
def test_booleans_are_integers_from_0_to_1(datatype: str, data: list[Any]) -> None:
    flag = Feature(name="ordered_at", type="integer", minimum=0, maximum=1, nullable=True)
    flags = SimpleNamespace(**{**vars(SERVABLE), "schema": Schema([flag])})
    batch = read_batch(flags, request(datatype, data), maximum_rows=10)  # type: ignore[arg-type]
    assert batch.columns["ordered_at"] == [1, 0]


def test_numbers_whose_unit_is_unknown_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="input ordered_at has datatype INT64") as refused:
        read_batch(SERVABLE, request("INT64", [1_772_366_400]), maximum_rows=10)
    assert refused.value.expected == "datatype BYTES"
