from __future__ import annotations

import struct
from typing import Any

import numpy as np
import orjson
import pytest

from services.inference.open_inference.codec import InferOutput, read_request, write_response
from shared.errors import InvalidRequest

INPUT = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}


def request(*inputs: dict[str, Any], **rest: Any) -> bytes:
    return orjson.dumps({"inputs": list(inputs), **rest})


def binary(datatype: str, shape: list[int], raw: bytes) -> tuple[bytes, int]:
    tensor = {"name": "x", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(raw)}}
    head = request(tensor)
    return head + raw, len(head)


def test_json_tensor_flat_or_nested() -> None:
    flat = read_request(request({**INPUT, "shape": [2, 2], "data": [1, 2, 3, 4]}), None)
    nested = read_request(request({**INPUT, "shape": [2, 2], "data": [[1, 2], [3, 4]]}), None)
    assert flat.inputs["x"].values == nested.inputs["x"].values == [1, 2, 3, 4]


def test_binary_tensor_is_not_copied() -> None:
    body, head = binary("FP32", [2, 1], np.array([1.5, -2], "<f4").tobytes())
    values = read_request(body, head).inputs["x"].values
    assert isinstance(values, np.ndarray)
    assert values.tolist() == [1.5, -2.0]


def test_binary_strings_are_length_prefixed() -> None:
    raw = b"".join(struct.pack("<I", len(text)) + text for text in (b"red", "grün".encode()))
    body, head = binary("BYTES", [2], raw)
    assert read_request(body, head).inputs["x"].values == ["red", "grün"]


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (b"[]", None),
        (b"{}", None),
        (request(), None),
        (request(INPUT, INPUT), None),
        (request({**INPUT, "datatype": "STRING"}), None),
        (request({**INPUT, "datatype": ["FP32"]}), None),
        (request({**INPUT, "datatype": {}}), None),
        (request({**INPUT, "shape": [3]}), None),
        (request({**INPUT, "shape": [-2]}), None),
        (request({**INPUT, "shape": []}), None),
        (request({**INPUT, "shape": "2"}), None),
        (request({**INPUT, "data": None}), None),
        (request({**INPUT, "data": [[1], 2]}), None),
        (request({**INPUT, "extra": 1}), None),
        (request(INPUT, id=7), None),
        (request(INPUT, parameters=[]), None),
        (request(INPUT, outputs=[{"name": 1}]), None),
        (request(INPUT, outputs=[{"name": "y", "parameters": {"classification": "3"}}]), None),
        (request(INPUT, outputs=[{"name": "y", "parameters": {"classification": -1}}]), None),
        (request(INPUT, outputs=[{"name": "y", "parameters": {"shared_memory_region": "r"}}]), None),
        (request(INPUT, outputs=[{"name": "y"}, {"name": "y"}]), None),
        (request(INPUT, parameters={"binary_data_output": 1}), None),
        (request(INPUT), 10_000),
        binary("FP32", [2], b"1234"),
        binary("FP32", [1], b"12345678"),
        binary("BYTES", [1], b"\xff\xff\xff\xff"),
        binary("BYTES", [1], b"\x01\x00\x00\x00\xff"),
        binary("BYTES", [2], b"\x01\x00\x00\x00a"),
        binary("FLOAT", [1], b"1234"),
        binary("BF16", [1], b"1234"),
        binary("BOOL", [1], b"\x02"),
        (request(INPUT) + b"trailing", len(request(INPUT))),
    ],
)
def test_malformed_request_names_the_field(body: bytes, head: int | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_request(body, head)
    assert caught.value.status == 400
    assert caught.value.field


def test_outputs_in_requested_form() -> None:
    scores = InferOutput("score", "FP32", (2,), np.array([1.5, 2], np.float32))
    names = InferOutput("id", "BYTES", (2,), ["a", "bc"])
    body, head = write_response({"id": "1"}, [(scores, False), (names, False)])
    assert head is None
    assert orjson.loads(body)["outputs"][0] == {
        "name": "score",
        "datatype": "FP32",
        "shape": [2],
        "data": [1.5, 2.0],
    }

    body, head = write_response({}, [(scores, True), (names, True)])
    assert head is not None
    assert [output["parameters"]["binary_data_size"] for output in orjson.loads(body[:head])["outputs"]] == [
        8,
        11,
    ]
    assert body[head:] == scores.values.tobytes() + b"\x01\x00\x00\x00a\x02\x00\x00\x00bc"  # type: ignore[union-attr]


def test_damaged_requests_are_read_or_refused() -> None:
    """Bytes of a valid binary request changed, cut and repeated at seeded places: never another error than ours."""
    random = np.random.default_rng(5)
    numbers = {"name": "x", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}
    texts = {"name": "y", "datatype": "BYTES", "shape": [2], "parameters": {"binary_data_size": 11}}
    flags = {"name": "z", "datatype": "BOOL", "shape": [2, 1], "parameters": {"binary_data_size": 2}}
    head = request(numbers, texts, flags, {**INPUT, "name": "w"}, outputs=[{"name": "score"}])
    tail = np.array([1, 2], "<f4").tobytes() + b"\1\0\0\0a\2\0\0\0bc" + b"\0\1"
    valid = np.frombuffer(head + tail, np.uint8)
    assert set(read_request(valid.tobytes(), len(head)).inputs) == {"x", "y", "z", "w"}
    refused = 0
    for _ in range(3000):
        body = valid.copy()
        places = random.integers(0, len(body), random.integers(1, 4))
        body[places] = random.integers(0, 256, len(places))
        cut = body[: random.integers(0, len(body) + 1)] if random.random() < 0.2 else body
        length = int(random.integers(-1, len(body) + 2)) if random.random() < 0.2 else len(head)
        try:
            read_request(cut.tobytes(), length)
        except InvalidRequest:
            refused += 1
    assert 1000 < refused < 3000
