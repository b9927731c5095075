"""Decodes and encodes Open Inference Protocol v2 requests and responses, in JSON and in the binary extension. Pure.

In a binary body the JSON head is followed by raw little-endian row-major tensors, in the order of the inputs that carry
`binary_data_size`. Each element of a BYTES tensor is preceded by its length in four bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from services.inference.models.column_checks import show
from shared.errors import InvalidRequest
from shared.http.json_body import parse_json

Array = npt.NDArray[Any]

_DTYPES = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_TENSOR_KEYS = frozenset({"name", "datatype", "shape", "data", "parameters"})
# KServe's client also names the model in the body.
_REQUEST_KEYS = frozenset({"id", "model_name", "model_version", "parameters", "inputs", "outputs"})


@dataclass(frozen=True, slots=True)
class InferInput:
    """One input: `values` is a flat list (JSON, or BYTES) or a flat array (binary)."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[Any] | Array


@dataclass(frozen=True, slots=True)
class InferOutput:
    """One output to be written: a list of strings is BYTES."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Array | list[str]


@dataclass(frozen=True, slots=True)
class InferRequest:
    """An infer request.

    `outputs`: name and whether in binary, in the requested order; None: all. `may_hold_booleans`: False if the
    JSON contains neither true nor false.
    """

    id: str | None
    model_name: str | None
    model_version: str | None
    parameters: dict[str, Any]
    inputs: dict[str, InferInput]
    outputs: dict[str, bool] | None
    binary_by_default: bool
    may_hold_booleans: bool


def read_request(body: bytes, head_length: int | None) -> InferRequest:
    """Decode an infer request. Raises InvalidRequest.

    `head_length`: the value of `Inference-Header-Content-Length`; None if the body is JSON only.
    """
    if head_length is not None and not 0 <= head_length <= len(body):
        raise _bad(
            "Inference-Header-Content-Length",
            f"is {head_length}",
            f"a length within the body's {len(body)} bytes",
        )
    head = body if head_length is None else body[:head_length]
    tail = memoryview(body)[len(head) :]
    document = parse_json(head, dict)
    _only(document, _REQUEST_KEYS, "the request")
    identity, model_name, model_version = (
        _text(document, key) for key in ("id", "model_name", "model_version")
    )
    parameters = _parameters(document, "the request")
    raw = document.get("inputs")
    if not isinstance(raw, list) or not raw:
        raise _bad(
            "inputs",
            "is missing" if raw is None else "is not a list of tensors",
            "a list with one tensor per feature",
        )
    inputs: dict[str, InferInput] = {}
    offset = 0
    for item in raw:
        tensor, offset = _input(item, tail, offset)
        if tensor.name in inputs:
            raise _bad(tensor.name, "is given twice", "each input once")
        inputs[tensor.name] = tensor
    if offset != len(tail):
        raise _bad(
            "body",
            f"has {len(tail) - offset} bytes after the last tensor",
            "only the tensors that the head describes",
        )
    outputs = _outputs(document.get("outputs"), bool(parameters.get("binary_data_output")))
    return InferRequest(
        identity,
        model_name,
        model_version,
        parameters,
        inputs,
        outputs,
        bool(parameters.get("binary_data_output")),
        b"true" in head or b"false" in head,
    )


def write_response(
    head: dict[str, Any], outputs: Sequence[tuple[InferOutput, bool]]
) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON head where some output is binary."""
    described: list[dict[str, Any]] = []
    tails: list[bytes] = []
    for output, binary in outputs:
        entry: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
        if binary:
            raw = _to_bytes(output)
            entry["parameters"] = {"binary_data_size": len(raw)}
            tails.append(raw)
        else:
            entry["data"] = (
                output.values
                if isinstance(output.values, list)
                else np.ascontiguousarray(output.values).reshape(-1)
            )
        described.append(entry)
    text = orjson.dumps({**head, "outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    return (b"".join((text, *tails)), len(text)) if tails else (text, None)


def _text(document: dict[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise _bad(key, f"is {show(value)}", "a string")
    return value


def _input(item: Any, tail: memoryview, offset: int) -> tuple[InferInput, int]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise _bad(
            "inputs", "holds something that is no tensor", "objects with name, datatype, shape and data"
        )
    name, datatype, shape = item["name"], item.get("datatype"), item.get("shape")
    _only(item, _TENSOR_KEYS, f"input {name[:80]}")
    if not isinstance(datatype, str) or (datatype not in _DTYPES and datatype != "BYTES"):
        raise _bad(name, f"has the datatype {show(datatype)}", f"one of {', '.join((*_DTYPES, 'BYTES'))}")
    if (
        not isinstance(shape, list)
        or not shape
        or not all(type(axis) is int and 0 <= axis < 2**31 for axis in shape)
    ):
        raise _bad(name, f"has shape {show(shape)}", "a list of whole numbers, the first the number of rows")
    count = math.prod(shape)
    size = _parameters(item, f"input {name[:80]}").get("binary_data_size")
    if size is None:
        return InferInput(name, datatype, tuple(shape), _flat(name, item.get("data"), count)), offset
    if "data" in item or type(size) is not int or size < 0 or offset + size > len(tail):
        raise _bad(
            name,
            f"has a binary_data_size of {show(size)}",
            "the bytes that follow the head, and no `data` beside them",
        )
    chunk = tail[offset : offset + size]
    values = _strings(name, chunk, count) if datatype == "BYTES" else _numbers(name, datatype, chunk, count)
    return InferInput(name, datatype, tuple(shape), values), offset + size


def _flat(name: str, data: Any, count: int) -> list[Any]:
    if not isinstance(data, list):
        raise _bad(
            name,
            "has no `data`" if data is None else "has `data` that is not a list",
            "`data` as a list, or binary_data_size",
        )
    while data and type(data[0]) is list:
        if not all(type(chunk) is list for chunk in data):
            raise _bad(name, "has lists of unequal depth", "`data` flat, or nested like its shape")
        data = [value for chunk in data for value in chunk]
    if len(data) != count:
        raise _bad(name, f"has {len(data)} values", f"{count}, as its shape says")
    values: list[Any] = data
    return values


def _numbers(name: str, datatype: str, chunk: memoryview, count: int) -> Array:
    dtype = np.dtype(_DTYPES[datatype])
    if len(chunk) != count * dtype.itemsize:
        raise _bad(
            name, f"has {len(chunk)} bytes", f"{count * dtype.itemsize}, as its shape and datatype say"
        )
    return np.frombuffer(chunk, dtype)


def _strings(name: str, chunk: memoryview, count: int) -> list[str]:
    values: list[str] = []
    offset = 0
    try:
        while offset < len(chunk) and len(values) <= count:
            (length,) = struct.unpack_from("<I", chunk, offset)
            offset += 4
            if offset + length > len(chunk):
                raise ValueError
            values.append(str(chunk[offset : offset + length], "utf-8"))
            offset += length
    except (struct.error, ValueError):
        raise _bad(
            name, "has BYTES elements that cannot be read", "UTF-8, each after its length in four bytes"
        ) from None
    if len(values) != count:
        raise _bad(name, f"has {len(values)} elements", f"{count}, as its shape says")
    return values


def _outputs(raw: Any, binary_by_default: bool) -> dict[str, bool] | None:
    if raw is None:
        return None
    if not isinstance(raw, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in raw
    ):
        raise _bad("outputs", "is not a list of outputs", "objects with a name")
    outputs: dict[str, bool] = {}
    for item in raw:
        _only(item, frozenset({"name", "parameters"}), f"output {item['name'][:80]}")
        parameters = _parameters(item, f"output {item['name'][:80]}")
        if parameters.get("classification"):
            raise _bad(
                item["name"],
                "requests the classification extension",
                "plain outputs; see `extensions` at /v2",
            )
        outputs[item["name"]] = bool(parameters.get("binary_data", binary_by_default))
    return outputs or None


def _parameters(holder: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict) or any(
        isinstance(value, dict | list) for value in parameters.values()
    ):
        raise _bad(
            "parameters", f"of {where} is not an object of plain values", "strings, numbers, true or false"
        )
    return parameters


def _only(holder: dict[str, Any], allowed: frozenset[str], where: str) -> None:
    for name in holder.keys() - allowed:
        raise _bad(name[:80], f"of {where} is unknown", f"only {', '.join(sorted(allowed))}")


def _to_bytes(output: InferOutput) -> bytes:
    if isinstance(output.values, list):
        return b"".join(
            struct.pack("<I", len(raw)) + raw for raw in (value.encode() for value in output.values)
        )
    return np.ascontiguousarray(output.values, _DTYPES[output.datatype]).tobytes()


def _bad(field: str, problem: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"`{field[:80]}` {problem}", field=field[:80], expected=expected, status=400)
