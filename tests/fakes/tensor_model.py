"""A model of one tensor that one can check by head: a row's score is the sum of its numbers, at most 1000 either way."""

from __future__ import annotations

from datetime import UTC, datetime

import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper

from shared.contracts.loop_yaml import parse_loop_spec
from shared.contracts.manifest import Origin
from shared.contracts.release import Release
from shared.models.signed_versions.packaging import package_version
from tests.fakes.toy_model import ToyStore

SIZE = 4
_LOOP = """
model: {model}
features: [{{name: x, type: tensor, shape: [4]}}]
prediction: {{kind: value}}
outcome: {{delay: 1h}}
metric: {{name: mae}}
drift: {{window: {{every: 1d}}}}
retraining: {{command: [none]}}
gate: {{holdout: 1d}}
"""


def tensor_onnx() -> bytes:
    """Adds up the numbers of a row. An infinite number gives a finite score: only a check of the input finds it."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=0),
            helper.make_node("Clip", ["sum", "least", "most"], ["score"]),
        ],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", SIZE])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])],
        [
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
            helper.make_tensor("least", TensorProto.FLOAT, [], [-1000.0]),
            helper.make_tensor("most", TensorProto.FLOAT, [], [1000.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    raw: bytes = onnx.ModelProto.SerializeToString(model)
    return raw


def release_tensor(toys: ToyStore, model: str = "sums") -> Release:
    """Package and release the model."""
    draft = toys.home / "drafts" / model
    draft.mkdir(parents=True)
    (draft / "model.onnx").write_bytes(tensor_onnx())
    rows = [[float(row + place) for place in range(SIZE)] for row in range(20)]
    table = {
        "event_time": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * len(rows), pa.timestamp("us", "UTC")),
        "x": rows,
        "outcome": [0.0] * len(rows),
        "prediction_id": [""] * len(rows),
        "score": [sum(row) for row in rows],
    }
    pq.write_table(pa.table(table), draft / "reference.parquet")
    manifest = package_version(
        draft / "version",
        loop=parse_loop_spec(_LOOP.format(model=model), origin="sums"),
        model=draft / "model.onnx",
        reference=draft / "reference.parquet",
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=toys.keys.signing,
    )
    toys.store.put_version(model, manifest.version, draft / "version")
    return toys.release(manifest.version, model=model)
