"""Reads the tensors of an infer request, whose values are in the JSON or in the bytes after it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from services.inference.open_inference.elements import DATATYPES, Array, read_elements
from services.inference.open_inference.fields import check_keys, malformed, read_parameters
from shared.validation_text import show

_KEYS = frozenset({"name", "datatype", "shape", "data", "parameters"})


@dataclass(frozen=True, slots=True)
class InferInput:
    """One input: `values` is a flat list (JSON, or BYTES) or a flat array (binary)."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[Any] | Array


def read_inputs(raw: Any, tail: memoryview) -> dict[str, InferInput]:
    """The inputs by name; `tail`: the bytes after the JSON. Raises InvalidRequest."""
    if not isinstance(raw, list) or not raw:
        raise malformed(
            "inputs",
            "is missing" if raw is None else "is not a list of tensors",
            "a list with one tensor per feature",
        )
    inputs: dict[str, InferInput] = {}
    offset = 0
    for item in raw:
        tensor, offset = _read_input(item, tail, offset)
        if tensor.name in inputs:
            raise malformed(tensor.name, "is given twice", "each input once")
        inputs[tensor.name] = tensor
    if offset != len(tail):
        raise malformed(
            "body",
            f"has {len(tail) - offset} bytes after the last tensor",
            "only the tensors that the JSON describes",
        )
    return inputs


def _read_input(item: Any, tail: memoryview, offset: int) -> tuple[InferInput, int]:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise malformed(
            "inputs", "contains something that is not a tensor", "objects with name, datatype, shape and data"
        )
    name, datatype, shape = item["name"], item.get("datatype"), item.get("shape")
    where = f"input {name[:80]}"
    check_keys(item, _KEYS, where)
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise malformed(name, f"has the datatype {show(datatype)}", f"one of {', '.join(DATATYPES)}")
    if (
        not isinstance(shape, list)
        or not shape
        or not all(type(axis) is int and 0 <= axis < 2**31 for axis in shape)
    ):
        raise malformed(
            name, f"has shape {show(shape)}", "a list of whole numbers, the first the number of rows"
        )
    count = math.prod(shape)
    size = read_parameters(item, where).get("binary_data_size")
    if size is None:
        return InferInput(name, datatype, tuple(shape), _flat(name, item.get("data"), shape, count)), offset
    if item.get("data") is not None or type(size) is not int or size < 0 or offset + size > len(tail):
        raise malformed(
            name,
            f"has a binary_data_size of {show(size)}",
            "the bytes that follow the head, and no `data` beside them",
        )
    values = read_elements(name, datatype, tail[offset : offset + size], count)
    return InferInput(name, datatype, tuple(shape), values), offset + size


def _flat(name: str, data: Any, shape: list[int], count: int) -> list[Any]:
    """The values of `data`, which is flat or nested exactly like the shape: rows must not be regrouped."""
    if not isinstance(data, list):
        raise malformed(
            name,
            "has no `data`" if data is None else "has `data` that is not a list",
            "`data` as a list, or binary_data_size",
        )
    values: list[Any] = data
    nested = bool(data) and type(data[0]) is list
    if nested:
        for inner in shape[1:]:
            if not all(type(chunk) is list and len(chunk) == inner for chunk in values):
                break
            values = [value for chunk in values for value in chunk]
            nested = bool(values) and type(values[0]) is list
        if nested or values is data:
            raise malformed(
                name, "has lists that are not nested like its shape", f"`data` flat, or nested like {shape}"
            )
    if len(values) != count:
        raise malformed(name, f"has {len(values)} values", f"{count}, as its shape says")
    return values
