"""A model with classes that one can check by head: a row's probabilities are a line of a table, chosen by the feature `line`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Manifest, Origin
from shared.models.answers import answer_columns
from shared.models.signed_versions.packaging import package_version
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ToyStore

ANIMALS = ("cat", "dog", "bird")
TABLE = np.array([[0.75, 0.125, 0.125], [0.25, 0.625, 0.125], [0.125, 0.25, 0.625]], np.float32)


def class_loop(labels: Sequence[int | str] = ANIMALS, **changes: Any) -> LoopSpec:
    document: dict[str, Any] = {
        "model": "animals",
        "features": [{"name": "line", "type": "integer"}],
        "prediction": {"kind": "classes", "labels": list(labels)},
        "outcome": {"delay": "1h"},
        "metric": {"name": "log_loss"},
        "drift": {"window": {"every": "1d"}},
        "retraining": {"command": ["python", "train.py"]},
        "gate": {"holdout": "1d"},
    }
    return LoopSpec.model_validate(document | changes)


def class_onnx(table: npt.NDArray[np.float32] = TABLE, *, name: str = "probabilities") -> bytes:
    """Answers line i of `table` for a row whose `line` is i."""
    inputs = [helper.make_tensor_value_info("line", TensorProto.INT64, ["N"])]
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", table.shape[1]])
    constant = helper.make_tensor("table", TensorProto.FLOAT, table.shape, table.tobytes(), raw=True)
    node = helper.make_node("Gather", ["table", "line"], [name], axis=0)
    graph = helper.make_graph([node], "classes", inputs, [output], [constant])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    raw: bytes = onnx.ModelProto.SerializeToString(model)
    return raw


def put_classes(
    toys: ToyStore,
    table: npt.NDArray[np.float32] = TABLE,
    labels: Sequence[int | str] = ANIMALS,
    *,
    changed: dict[str, pa.Array] | None = None,
) -> Manifest:
    """Package a version; `changed` replaces columns of its reference, None leaves one out."""
    outcome = pa.array([labels[0]] * len(table))
    return put_table(toys, class_loop(labels), table, changed={"outcome": outcome} | (changed or {}))


def put_table(
    toys: ToyStore,
    loop: LoopSpec,
    table: npt.NDArray[np.float32],
    *,
    changed: dict[str, pa.Array] | None = None,
) -> Manifest:
    """Package a version that answers lines of `table`; `changed` as in `put_classes`."""
    draft = toys.home / "drafts" / f"table-{len(list(toys.home.glob('drafts/*')))}"
    draft.mkdir(parents=True)
    (draft / "model.onnx").write_bytes(class_onnx(table, name=loop.prediction.output or "probabilities"))
    _write_reference(draft / "reference.parquet", loop, table, changed or {})
    manifest = package_version(
        draft / "version",
        loop=loop,
        model=draft / "model.onnx",
        reference=draft / "reference.parquet",
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=toys.keys.signing,
    )
    toys.store.put_version(loop.model, manifest.version, draft / "version")
    return manifest


def serving_classes(toys: ToyStore, labels: Sequence[int | str] = ANIMALS) -> InferenceServer:
    """A server with one model, `animals`."""
    toys.release(put_classes(toys, labels=labels).version, model="animals")
    return InferenceServer(toys)


def _write_reference(
    path: Path, loop: LoopSpec, table: npt.NDArray[np.float32], changed: dict[str, pa.Array]
) -> None:
    rows = len(table)
    columns = {
        "event_time": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * rows, pa.timestamp("us", "UTC")),
        "line": pa.array(range(rows)),
        "prediction_id": pa.array([""] * rows),
        **answer_columns(loop.prediction, table if loop.prediction.width else table.mean(axis=1)),
        **changed,
    }
    pq.write_table(pa.table({name: column for name, column in columns.items() if column is not None}), path)
