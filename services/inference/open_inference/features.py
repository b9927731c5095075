"""Features as Open Inference Protocol tensors: model metadata, and rows from an infer request. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.open_inference.codec import InferRequest
from services.inference.open_inference.datatypes import check_values
from services.inference.open_inference.tensors import InferInput
from shared.contracts.feature import Feature
from shared.contracts.version_files.names import ARCHIVE, MODEL
from shared.errors import InvalidRequest
from shared.models.nullable_booleans import is_flag

PREDICTION_ID = "prediction_id"
LABEL = "label"
SCORE = "score"

# Backend and format, as Triton joins them.
_PLATFORMS = {MODEL: "onnxruntime_onnx", ARCHIVE: "pytorch_pt2"}
_DATATYPES = {
    "number": "FP32",
    "integer": "INT64",
    "boolean": "BOOL",
    "category": "BYTES",
    "text": "BYTES",
    # Not INT64: a number could be seconds, milliseconds or microseconds.
    "timestamp": "BYTES",
    "tensor": "FP32",
}
# NaN is a missing integer.
_NULLABLE_INTEGER = ("FP32", "FP64")
_FLOATS = ("FP16", "BF16", "FP32", "FP64")
_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
_ACCEPTED: dict[str, tuple[str, ...]] = {
    "number": (*_FLOATS, *_INTEGERS),
    "integer": _INTEGERS,
    "boolean": ("BOOL",),
    "category": ("BYTES",),
    "text": ("BYTES",),
    "timestamp": ("BYTES",),
    # Pixels are often bytes.
    "tensor": (*_FLOATS, *_INTEGERS),
}


def describe(servable: Servable) -> dict[str, Any]:
    """Model metadata: inputs and outputs; -1 is the row axis."""
    output = servable.output
    inputs = [
        {
            "name": feature.name,
            "datatype": _datatype(feature),
            "shape": [-1, *feature.shape],
            "parameters": _allowed(feature),
        }
        for feature in servable.schema.features
    ]
    shape = (
        [-1] if servable.scores else [-1, *(axis if axis is not None else -1 for axis in output.shape[1:])]
    )
    parameters: dict[str, str] = {"kind": servable.manifest.prediction.kind}
    answer: dict[str, Any] = {
        "name": output.name,
        "datatype": answer_type(servable),
        "shape": shape,
        "parameters": parameters,
    }
    extra: list[dict[str, Any]] = []
    if servable.width:
        answer["shape"] = [-1, servable.width]
    if servable.names:
        parameters["names"] = "\n".join(servable.names)
    if servable.labels:
        parameters["labels"] = "\n".join(servable.labels.texts)
        extra = [
            {"name": LABEL, "datatype": label_type(servable), "shape": [-1]},
            {"name": SCORE, "datatype": answer_type(servable), "shape": [-1]},
        ]
    return {
        "name": servable.model,
        "versions": [servable.version],
        "platform": _PLATFORMS[servable.manifest.model_file],
        "inputs": inputs,
        "outputs": [answer, *extra, {"name": PREDICTION_ID, "datatype": "BYTES", "shape": [-1]}],
    }


def _is_nullable_integer(feature: Feature) -> bool:
    return feature.type == "integer" and feature.nullable


def _datatype(feature: Feature) -> str:
    return "FP64" if _is_nullable_integer(feature) else _DATATYPES[feature.type]


def _allowed(feature: Feature) -> dict[str, Any]:
    """The manifest's description of a feature, as protocol parameters."""
    parameters: dict[str, Any] = {"type": feature.type, "nullable": feature.nullable}
    if feature.unknown == "serve":
        parameters["unknown"] = feature.unknown
    if feature.values:
        parameters["values"] = "\n".join(feature.values)
    if feature.minimum is not None:
        parameters["minimum"] = feature.minimum
    if feature.maximum is not None:
        parameters["maximum"] = feature.maximum
    return parameters


def read_batch(servable: Servable, wire: InferRequest, *, maximum_rows: int) -> Batch:
    """The checked rows of an infer request. Raises InvalidRequest."""
    features = servable.schema.features
    unknown = wire.inputs.keys() - {feature.name for feature in features}
    if unknown:
        name = sorted(unknown)[0]
        raise InvalidRequest(
            f"unknown input {name[:80]!r}",
            field=name[:80],
            expected=f"only {', '.join(feature.name for feature in features)}",
        )
    rows = next(iter(wire.inputs.values())).shape[0]
    if not 1 <= rows <= maximum_rows:
        raise InvalidRequest(
            f"the inputs have {rows} rows",
            field="inputs",
            expected=f"from 1 to {maximum_rows} rows",
            status=413 if rows else 400,
        )
    return servable.schema.batch_of_tensors(
        {feature.name: _values(feature, wire, rows) for feature in features}, rows
    )


def _values(feature: Feature, wire: InferRequest, rows: int) -> npt.NDArray[Any] | list[Any]:
    tensor = wire.inputs.get(feature.name)
    if tensor is None:
        if feature.nullable:
            return [None] * rows
        raise InvalidRequest(
            f"input {feature.name} is missing", field=feature.name, expected=f"a tensor of {rows} rows"
        )
    _check_form(feature, tensor, rows)
    if isinstance(tensor.values, list):
        check_values(tensor, may_hold_booleans=wire.may_hold_booleans, personal=bool(feature.personal))
    if feature.type != "tensor":
        return tensor.values
    if isinstance(tensor.values, list):
        try:
            array = np.array(tensor.values)
        except (ValueError, OverflowError):
            array = np.array([None])
        if array.dtype.kind not in "if":
            raise InvalidRequest(
                f"input {feature.name} contains values that are not numbers",
                field=feature.name,
                expected="numbers",
            )
        return array.reshape(tensor.shape)
    return tensor.values.reshape(tensor.shape)


def _check_form(feature: Feature, tensor: InferInput, rows: int) -> None:
    accepted = (*_ACCEPTED[feature.type], *(_NULLABLE_INTEGER if _is_nullable_integer(feature) else ()))
    if is_flag(feature.type, feature.minimum, feature.maximum):
        accepted += ("BOOL",)
    if tensor.datatype not in accepted:
        main = _datatype(feature)
        others = ", ".join(one for one in accepted if one != main)
        raise InvalidRequest(
            f"input {feature.name} has datatype {tensor.datatype}, but feature {feature.name} is of type {feature.type}",
            field=feature.name,
            expected=f"datatype {main} (or {others})" if others else f"datatype {main}",
        )
    shapes = [(rows, *feature.shape)] if feature.type == "tensor" else [(rows,), (rows, 1)]
    if tensor.shape not in shapes:
        raise InvalidRequest(
            f"input {feature.name} has shape {list(tensor.shape)}",
            field=feature.name,
            expected=f"shape {' or '.join(str(list(shape)) for shape in shapes)}",
        )


def label_type(servable: Servable) -> str:
    """The protocol's datatype of a model's labels."""
    return "INT64" if isinstance(servable.labels.values[0], int) else "BYTES"


def answer_type(servable: Servable) -> str:
    """The protocol's datatype of a model's output."""
    return "FP64" if servable.output.kind == "tensor(double)" and not servable.is_vector else "FP32"
