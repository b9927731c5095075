"""A model file as deployments and the gate see it: checked against the contract, then scored on the CPU.

The contract: one input per feature under its name, [N] or [N, 1] (a tensor [N, *shape]); standard operators; weights inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.loop_spec import Feature, LoopSpec
from shared.errors import UnservableModel
from shared.models.file_safety import check_model_file

Array = npt.NDArray[Any]

_KINDS = {
    "number": "tensor(float)",
    "integer": "tensor(int64)",
    "boolean": "tensor(bool)",
    "category": "tensor(string)",
    "tensor": "tensor(float)",
}
_ROWS_PER_CALL = 16_384


class OnnxModel:
    """A model that keeps the contract of `spec`."""

    def __init__(self, path: Path, spec: LoopSpec, *, threads: int = 1) -> None:
        """Load and check. Raises UnservableModel, naming what breaks the contract."""
        raw = path.read_bytes()
        check_model_file(raw)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base
            raise UnservableModel(
                f"onnxruntime cannot load model.onnx: {_first_line(error)}", hint="export the model again"
            ) from error
        self._features = spec.features
        self._columns = _check_inputs(spec.features, self._session.get_inputs())
        self._output = _output_name(spec, self._session.get_outputs())
        self._tensor = spec.prediction.kind == "tensor"

    def feeds(self, rows: pa.Table) -> dict[str, Array]:
        """The model's inputs for rows with one column per feature."""
        feeds = {}
        for feature in self._features:
            array = _to_array(feature, rows[feature.name])
            feeds[feature.name] = array.reshape(-1, 1) if feature.name in self._columns else array
        return feeds

    def run(self, feeds: Mapping[str, Array]) -> Array:
        """One call. Raises UnservableModel where the model fails or answers another number of rows."""
        try:
            answer = np.asarray(self._session.run([self._output], dict(feeds))[0])
        except Exception as error:
            raise UnservableModel(f"the model failed on rows it must take: {_first_line(error)}") from error
        rows = len(next(iter(feeds.values())))
        if answer.ndim == 0 or len(answer) != rows:
            raise UnservableModel(
                f"the model answered the shape {list(answer.shape)} for {rows} rows",
                hint="answer one score a row",
            )
        if self._tensor:
            return answer.reshape(rows, -1)
        if answer.size != rows:
            raise UnservableModel(
                f"the model answered the shape {list(answer.shape)} for {rows} rows",
                hint="answer one score a row",
            )
        return answer.reshape(rows)

    def score(self, rows: pa.Table) -> npt.NDArray[np.float64]:
        """A score per row, float64 [N]; of a tensor, its mean. Raises UnservableModel where one is not finite."""
        feeds = self.feeds(rows)
        parts = []
        for start in range(0, rows.num_rows, _ROWS_PER_CALL):
            part = self.run({name: array[start : start + _ROWS_PER_CALL] for name, array in feeds.items()})
            parts.append(part.mean(axis=1) if part.ndim == 2 else part)
        scores = np.concatenate(parts).astype(np.float64) if parts else np.empty(0)
        if not np.isfinite(scores).all():
            row = int(np.argmin(np.isfinite(scores)))
            raise UnservableModel(
                f"the model's score for row {row} is {scores[row]}", hint="a score must be a finite number"
            )
        return scores


def _to_array(feature: Feature, column: pa.ChunkedArray) -> Array:
    if feature.type == "category":
        text = pc.fill_null(
            pc.cast(column, pa.string()), ""
        )  # a missing category reaches the model as an empty string
        return np.asarray(text.to_numpy(zero_copy_only=False), dtype=object)
    if feature.type == "integer":
        return np.asarray(pc.cast(column, pa.int64()).to_numpy())
    if feature.type == "boolean":
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)
    if feature.type == "tensor":
        flat = pc.list_flatten(column).to_numpy(zero_copy_only=False)
        return np.asarray(flat, dtype=np.float32).reshape(len(column), *feature.shape)
    return np.asarray(pc.fill_null(pc.cast(column, pa.float64()), float("nan")).to_numpy(), dtype=np.float32)


def _check_inputs(features: tuple[Feature, ...], inputs: Any) -> frozenset[str]:
    """Names of the inputs that want [N, 1]."""
    found = {item.name: item for item in inputs}
    wanted = {feature.name for feature in features}
    if set(found) != wanted:
        lacking, extra = sorted(wanted - set(found)), sorted(set(found) - wanted)
        told = [f"lacks {', '.join(lacking)}"] if lacking else []
        told += [f"also has {', '.join(extra)}"] if extra else []
        raise UnservableModel(
            f"the model's inputs are not the features: it {' and '.join(told)}",
            hint="one input per feature",
        )
    columns = set()
    for feature in features:
        item = found[feature.name]
        if item.type != _KINDS[feature.type]:
            raise UnservableModel(
                f"input {feature.name} is {item.type}; a {feature.type} is {_KINDS[feature.type]}"
            )
        rows, row = item.shape[:1], item.shape[1:]
        if not rows or isinstance(rows[0], int):
            raise UnservableModel(
                f"input {feature.name} has the shape {item.shape}",
                hint="the first axis must be free: it counts rows",
            )
        if feature.type != "tensor" and len(row) == 1 and (row[0] == 1 or not isinstance(row[0], int)):
            columns.add(feature.name)
            continue
        same = all(
            not isinstance(have, int) or have == want for have, want in zip(row, feature.shape, strict=False)
        )
        if len(row) != len(feature.shape) or not same:
            wanted_shape = ", ".join(str(axis) for axis in ("N", *feature.shape))
            raise UnservableModel(
                f"input {feature.name} has the shape {item.shape}", hint=f"expected [{wanted_shape}]"
            )
    return frozenset(columns)


def _output_name(spec: LoopSpec, outputs: Any) -> str:
    wanted = spec.prediction.output
    for item in outputs:
        if not wanted or item.name == wanted:
            if item.type not in ("tensor(float)", "tensor(double)"):
                raise UnservableModel(f"output {item.name} is {item.type}", hint="expected tensor(float)")
            return str(item.name)
    raise UnservableModel(f"the model has no output {wanted!r}", hint="set prediction.output in loop.yaml")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
