"""Decodes and encodes Open Inference Protocol v2 requests and responses, in JSON and in the binary extension. Pure.

In a binary body the JSON head is followed by raw little-endian row-major tensors, in the order of the inputs that carry
`binary_data_size`. Each element of a BYTES tensor is preceded by its length in four bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from services.inference.open_inference.elements import Array, write_elements
from services.inference.open_inference.fields import (
    check_keys,
    malformed,
    read_flag,
    read_parameters,
    read_text,
)
from services.inference.open_inference.tensors import InferInput, read_inputs
from shared.http.json_body import parse_json
from shared.validation_text import show

# KServe's client also names the model in the body.
_REQUEST_KEYS = frozenset({"id", "model_name", "model_version", "parameters", "inputs", "outputs"})


@dataclass(frozen=True, slots=True)
class InferOutput:
    """One output to be written: a list of strings is BYTES."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Array | list[str]


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output in the form in which the client wants it. `classes`: the number of top classes per row; 0: the values."""

    binary: bool
    classes: int = 0


@dataclass(frozen=True, slots=True)
class InferRequest:
    """An infer request.

    `outputs`: by name, in the requested order; None: all. `may_hold_booleans`: False if the JSON contains neither true nor false.
    """

    id: str | None
    model_name: str | None
    model_version: str | None
    parameters: dict[str, Any]
    inputs: dict[str, InferInput]
    outputs: dict[str, RequestedOutput] | None
    binary_by_default: bool
    may_hold_booleans: bool


def read_request(body: bytes, head_length: int | None) -> InferRequest:
    """Decode an infer request. Raises InvalidRequest.

    `head_length`: the value of `Inference-Header-Content-Length`; None if the body is JSON only.
    """
    if head_length is not None and not 0 <= head_length <= len(body):
        raise malformed(
            "Inference-Header-Content-Length",
            f"is {head_length}",
            f"a length within the body's {len(body)} bytes",
        )
    head = body if head_length is None else body[:head_length]
    document = parse_json(head, dict)
    check_keys(document, _REQUEST_KEYS, "the request")
    identity, model_name, model_version = (
        read_text(document, key) for key in ("id", "model_name", "model_version")
    )
    parameters = read_parameters(document, "the request")
    binary = read_flag(parameters, "binary_data_output", False)
    return InferRequest(
        identity,
        model_name,
        model_version,
        parameters,
        read_inputs(document.get("inputs"), memoryview(body)[len(head) :]),
        _outputs(document.get("outputs"), binary),
        binary,
        b"true" in head or b"false" in head,
    )


def write_response(
    head: Mapping[str, Any], outputs: Sequence[tuple[InferOutput, bool]]
) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON head where some output is binary."""
    described: list[dict[str, Any]] = []
    tails: list[bytes] = []
    for output, binary in outputs:
        entry: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
        if binary:
            raw = write_elements(output.datatype, output.values)
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


def _outputs(raw: Any, binary_by_default: bool) -> dict[str, RequestedOutput] | None:
    if raw is None:
        return None
    if not isinstance(raw, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in raw
    ):
        raise malformed("outputs", "is not a list of outputs", "objects with a name")
    outputs: dict[str, RequestedOutput] = {}
    for item in raw:
        where = f"output {item['name'][:80]}"
        check_keys(item, frozenset({"name", "parameters"}), where)
        if item["name"] in outputs:
            raise malformed(item["name"], "is requested twice", "each output once")
        parameters = read_parameters(item, where)
        classes = parameters.get("classification")
        if classes is not None and (type(classes) is not int or classes < 0):
            raise malformed("classification", f"of {where} is {show(classes)}", "a number of classes")
        outputs[item["name"]] = RequestedOutput(
            read_flag(parameters, "binary_data", binary_by_default), classes or 0
        )
    return outputs or None
