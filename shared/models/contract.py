"""The model contract: what a model file takes and returns. Deployment, the gate and the server check it with this module, and
its answers with `answer_checks`.

- Inputs: one per feature, under its name, of its type; shape [N] or [N, 1], for a tensor [N, *shape]. The row axis N is free.
  Missing values are NaN, or the empty string. A nullable integer is a float input, since int64 has no value for missing.
  ONNX has no type for times: a timestamp is int64, microseconds since 1970-01-01T00:00:00Z.
- With `matrix` in loop.yaml, its features are the columns of one float input [N, F] instead.
- Output: `prediction.output`, or the first one: float or double; one score per row, [N] or [N, 1]; a row of numbers, [N, K]: one
  per label or name, or an embedding; or one tensor per row.
- Every output value is finite; the probabilities of a row are not negative and sum to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shared.contracts.feature import MATRIX_TYPES, Feature, Matrix
from shared.contracts.prediction import Prediction
from shared.errors import UnservableModel
from shared.models.tensor_type import TensorType

Array = npt.NDArray[Any]

_INPUT_TYPES: Final = {
    "number": "tensor(float)",
    "integer": "tensor(int64)",
    "boolean": "tensor(bool)",
    "category": "tensor(string)",
    "text": "tensor(string)",
    "timestamp": "tensor(int64)",
    "tensor": "tensor(float)",
}
_SHOWN: Final = 20
OUTPUT_TYPES: Final = ("tensor(float)", "tensor(double)")
# The server answers these beside the probabilities of classes.
CLASS_OUTPUTS: Final = frozenset({"label", "score", "prediction_id"})
_ROWS: Final = {
    "classes": "one probability per entry of prediction.labels",
    "values": "one number per entry of prediction.names",
    "embedding": "prediction.size numbers per row",
}
_ANSWERS: Final = {"classes": "probabilities", "values": "numbers", "embedding": "embeddings"}


@dataclass(frozen=True)
class Signature:
    """The checked inputs and output of a model. `columns`: scalar inputs of shape [N, 1].

    `matrix` and `matrix_columns`: the input that holds several features, and these; empty if the model has none.
    """

    inputs: Mapping[str, TensorType]
    output: TensorType
    columns: tuple[str, ...]
    matrix: str = ""
    matrix_columns: tuple[str, ...] = ()

    @property
    def takes_arrays(self) -> bool:
        """Whether the model takes the features' arrays as they are, so that `arrange` changes nothing."""
        return not self.columns and not self.matrix

    def arrange(self, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        """The model's inputs from one array per feature, [N] or [N, *shape]: columns [N, 1], and the matrix float32 [N, F]."""
        inputs = dict(arrays)
        if self.matrix:
            columns = [inputs.pop(name) for name in self.matrix_columns]
            matrix = np.empty((len(columns[0]), len(columns)), np.float32)
            for place, column in enumerate(columns):
                matrix[:, place] = column
            inputs[self.matrix] = matrix
        for name in self.columns:
            inputs[name] = inputs[name].reshape(-1, 1)
        return inputs


def input_type(feature: Feature) -> str:
    """The type of a feature's input, as onnxruntime names it."""
    is_float = feature.type == "integer" and feature.nullable
    return "tensor(float)" if is_float else _INPUT_TYPES[feature.type]


def check_signature(
    features: Sequence[Feature],
    prediction: Prediction,
    inputs: Sequence[TensorType],
    outputs: Sequence[TensorType],
    *,
    matrix: Matrix | None = None,
) -> Signature:
    """Raises UnservableModel that names the first input or output against the contract."""
    by_name = {tensor.name: tensor for tensor in inputs}
    inside = matrix.columns(features) if matrix is not None else ()
    alone = [feature for feature in features if feature.name not in inside]
    wanted = {feature.name for feature in alone} | ({matrix.input} if matrix is not None else set())
    _check_names(wanted, features, matrix, by_name)
    for feature in alone:
        _check_input(feature, by_name[feature.name])
    if matrix is not None:
        _check_matrix(by_name[matrix.input], inside)
    columns = (
        feature.name
        for feature in alone
        if feature.type != "tensor" and len(by_name[feature.name].shape) == 2
    )
    return Signature(
        by_name,
        _find_output(prediction, outputs),
        tuple(columns),
        matrix.input if matrix is not None else "",
        inside,
    )


def _check_names(
    wanted: set[str],
    features: Sequence[Feature],
    matrix: Matrix | None,
    inputs: Mapping[str, TensorType],
) -> None:
    missing, extra = sorted(wanted - inputs.keys()), sorted(inputs.keys() - wanted)
    problems = [f"inputs missing: {', '.join(missing)}"] if missing else []
    problems += [f"inputs that are not features: {', '.join(extra)}"] if extra else []
    if problems:
        raise UnservableModel(
            f"the model's inputs differ from the features; {'; '.join(problems)}",
            hint=_matrix_hint(missing, extra, features, matrix, inputs)
            or "export the model with one input per feature",
        )


def _matrix_hint(
    missing: list[str],
    extra: list[str],
    features: Sequence[Feature],
    matrix: Matrix | None,
    inputs: Mapping[str, TensorType],
) -> str:
    """What to change about `matrix`, if only that differs; else empty."""
    if matrix is not None:
        is_apart = missing == [matrix.input] and extra == sorted(matrix.columns(features))
        return "the model has one input per feature: remove `matrix` from loop.yaml" if is_apart else ""
    numbers = [feature.name for feature in features if feature.type in MATRIX_TYPES]
    if len(extra) != 1 or missing != sorted(numbers) or not _holds(inputs[extra[0]], len(numbers)):
        return ""
    shown = ", ".join(numbers[:_SHOWN]) + (", …" if len(numbers) > _SHOWN else "")
    return f"the model takes one matrix: add `matrix: {{input: {extra[0]}}}` to loop.yaml; its columns are then {shown}"


def _holds(tensor: TensorType, columns: int) -> bool:
    """Whether it is a matrix of floats with that many columns."""
    return tensor.kind == "tensor(float)" and _fits(tensor.shape, (columns,))


def _check_matrix(tensor: TensorType, columns: Sequence[str]) -> None:
    if not _holds(tensor, len(columns)):
        raise UnservableModel(
            f"input {tensor.name} is {tensor.kind} of shape {_show(tensor.shape)}",
            hint=f"`matrix` has {len(columns)} columns: expected tensor(float) of shape [N, {len(columns)}], with a dynamic "
            "row axis N; name its columns with matrix.features",
        )


def _check_input(feature: Feature, tensor: TensorType) -> None:
    wanted = input_type(feature)
    if tensor.kind != wanted:
        kind = f"nullable {feature.type}" if feature.nullable else feature.type
        raise UnservableModel(
            f"input {feature.name} is {tensor.kind}", hint=f"feature type {kind} is {wanted}"
        )
    row_shapes: list[tuple[int, ...]] = [feature.shape] if feature.type == "tensor" else [(), (1,)]
    if not any(_fits(tensor.shape, shape) for shape in row_shapes):
        expected = " or ".join(_show((None, *shape)) for shape in row_shapes)
        raise UnservableModel(
            f"input {feature.name} has shape {_show(tensor.shape)}",
            hint=f"expected {expected}, with a dynamic row axis N",
        )


def _fits(shape: tuple[int | None, ...], row: tuple[int, ...]) -> bool:
    return (
        len(shape) == len(row) + 1
        and shape[0] is None
        and all(have in (None, want) for have, want in zip(shape[1:], row, strict=True))
    )


def _find_output(prediction: Prediction, outputs: Sequence[TensorType]) -> TensorType:
    wanted = prediction.output
    found = next((tensor for tensor in outputs if not wanted or tensor.name == wanted), None)
    if found is None:
        names = ", ".join(tensor.name for tensor in outputs)
        raise UnservableModel(
            f"the model has no output {wanted!r}",
            hint=f"set prediction.output in loop.yaml to one of: {names}",
        )
    if found.kind not in OUTPUT_TYPES:
        usable = ", ".join(tensor.name for tensor in outputs if tensor.kind in OUTPUT_TYPES)
        hint = "expected tensor(float)" + (f"; set prediction.output to one of: {usable}" if usable else "")
        raise UnservableModel(f"output {found.name} is {found.kind}", hint=hint)
    if prediction.width:
        _check_row_output(found, prediction)
        return found
    scores = prediction.has_score
    fixed = bool(found.shape) and found.shape[0] is not None
    one_score = len(found.shape) == 1 or (len(found.shape) == 2 and found.shape[1] in (1, None))
    if fixed or (scores and not one_score):
        raise UnservableModel(
            f"output {found.name} has shape {_show(found.shape)}",
            hint=f"expected {'[N] or [N, 1]' if scores else '[N, …]'}, with a dynamic row axis N: export with "
            f"dynamic_axes={{'{found.name}': {{0: 'N'}}}}"
            + ("; end a model whose output has no shape with a Reshape to [-1]" if not found.shape else ""),
        )
    return found


def _check_row_output(found: TensorType, prediction: Prediction) -> None:
    if not _fits(found.shape, (prediction.width,)):
        raise UnservableModel(
            f"output {found.name} has shape {_show(found.shape)}",
            hint=f"expected [N, {prediction.width}], {_ROWS[prediction.kind]}, with a dynamic row axis N",
        )
    if found.name in (CLASS_OUTPUTS if prediction.labels else {"prediction_id"}):
        raise UnservableModel(
            f"the output of the {_ANSWERS[prediction.kind]} is named {found.name}, which the server uses for another output",
            hint=f"rename it, for example to {_ANSWERS[prediction.kind]}",
        )


def _show(shape: tuple[int | None, ...]) -> str:
    free = iter(["N"] if shape[:1] == (None,) else [])
    return f"[{', '.join(next(free, '?') if axis is None else str(axis) for axis in shape)}]"
