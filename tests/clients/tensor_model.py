"""A model of a tensor that one can check by head: the score is the mean of the six pixels of a row."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Manifest, Origin
from shared.models.signed_versions.packaging import package_version
from tests.fakes.class_model import class_loop
from tests.fakes.toy_model import ToyStore

PIXELS = np.arange(18, dtype=np.float32).reshape(3, 2, 3)


def pixel_loop() -> LoopSpec:
    return class_loop(
        model="pixels",
        features=[{"name": "image", "type": "tensor", "shape": [2, 3]}],
        prediction={"kind": "value"},
        metric={"name": "mae"},
    )


def put_tensors(toys: ToyStore) -> Manifest:
    """Package a version."""
    draft = toys.home / "drafts" / "pixels"
    draft.mkdir(parents=True)
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["image"], ["score"], axes=[1, 2], keepdims=0)],
        "pixels",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 2, 3])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (draft / "model.onnx").write_bytes(onnx.ModelProto.SerializeToString(model))
    rows = len(PIXELS)
    columns = {
        "event_time": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * rows, pa.timestamp("us", "UTC")),
        "image": pa.array(PIXELS.reshape(rows, 6).tolist(), pa.list_(pa.float32())),
        "outcome": pa.array([1.0] * rows),
        "prediction_id": pa.array([""] * rows),
        "score": pa.array(PIXELS.mean(axis=(1, 2)).tolist()),
    }
    pq.write_table(pa.table(columns), draft / "reference.parquet")
    manifest = package_version(
        draft / "version",
        loop=pixel_loop(),
        model=draft / "model.onnx",
        reference=draft / "reference.parquet",
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=toys.keys.signing,
    )
    toys.store.put_version("pixels", manifest.version, draft / "version")
    return manifest
