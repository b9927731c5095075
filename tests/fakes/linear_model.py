"""Versions whose score is amount * weight + count, of either format: the same function in ONNX and as a program of torch."""

from __future__ import annotations

from datetime import UTC, datetime

import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from shared.contracts.manifest import Manifest, Origin
from shared.contracts.version_files.names import ARCHIVE
from shared.models.signed_versions.packaging import package_version
from tests.fakes.torch_archive import archive
from tests.fakes.toy_model import ToyStore

LOOP = """
model: linear
features:
  - {name: amount, type: number}
  - {name: count, type: integer}
prediction: {kind: value}
outcome: {delay: 1h}
metric: {name: mae}
drift: {window: {every: 1d}}
retraining: {command: [python, train.py]}
gate: {holdout: 1d}
"""
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def linear_loop() -> LoopSpec:
    return parse_loop_spec(LOOP, origin="linear")


def linear_onnx(weight: float) -> bytes:
    nodes = [
        helper.make_node("Mul", ["amount", "weight"], ["product"]),
        helper.make_node("Cast", ["count"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["product", "number"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [
            helper.make_tensor_value_info("amount", TensorProto.FLOAT, ["N"]),
            helper.make_tensor_value_info("count", TensorProto.INT64, ["N"]),
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor("weight", TensorProto.FLOAT, [], [weight])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    raw: bytes = onnx.ModelProto.SerializeToString(model)
    return raw


def linear_file(name: str, weight: float) -> bytes:
    return archive(weight=weight) if name == ARCHIVE else linear_onnx(weight)


def linear_rows(weight: float, rows: int = 40) -> pa.Table:
    amounts = [row / 4 for row in range(rows)]
    return pa.table(
        {
            "event_time": pa.array([MOMENT] * rows, pa.timestamp("us", "UTC")),
            "amount": amounts,
            "count": list(range(rows)),
            "outcome": [1.0] * rows,
            "score": [amount * weight + row for row, amount in enumerate(amounts)],
        }
    )


def put_linear(toys: ToyStore, name: str, weight: float, *, raw: bytes | None = None) -> Manifest:
    """Package and store a version whose model is in a file of that name; `raw` replaces its bytes."""
    draft = toys.home / "linear" / f"{len(list((toys.home / 'linear').glob('*')))}"
    draft.mkdir(parents=True)
    (draft / name).write_bytes(linear_file(name, weight) if raw is None else raw)
    pq.write_table(linear_rows(weight), draft / "reference.parquet")
    manifest = package_version(
        draft / "version",
        loop=linear_loop(),
        model=draft / name,
        reference=draft / "reference.parquet",
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=toys.keys.signing,
    )
    toys.store.put_version("linear", manifest.version, draft / "version")
    return manifest
