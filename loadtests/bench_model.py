"""The model of the comparison: 32 numbers, two hidden layers of 64, one probability; seeded, so always the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from shared.contracts.loop_yaml import parse_loop_spec
from shared.contracts.manifest import Origin
from shared.contracts.release import Release
from shared.models.keys import ensure_keys
from shared.models.packaging import package_version
from shared.stores.model_store import open_model_store

INPUTS = 32
_LOOP = """
model: bench
features: [{name: x, type: tensor, shape: [32]}]
prediction: {kind: probability}
outcome: {delay: 1h}
metric: {name: log_loss}
drift: {window: {every: 1d}}
retraining: {command: [none]}
gate: {holdout: 1d}
"""


def write_model(path: Path) -> None:
    """Write the ONNX file."""
    random = np.random.default_rng(7)
    nodes, weights, previous = [], [], "x"
    for layer, (rows, columns) in enumerate(((INPUTS, 64), (64, 64), (64, 1))):
        weights += [
            numpy_helper.from_array(random.normal(0, 0.3, (rows, columns)).astype(np.float32), f"w{layer}"),
            numpy_helper.from_array(random.normal(0, 0.3, columns).astype(np.float32), f"b{layer}"),
        ]
        nodes.append(helper.make_node("Gemm", [previous, f"w{layer}", f"b{layer}"], [f"h{layer}"]))
        nodes.append(helper.make_node("Sigmoid" if layer == 2 else "Relu", [f"h{layer}"], [f"a{layer}"]))
        previous = f"a{layer}"
    nodes.append(helper.make_node("Squeeze", [previous, "axis"], ["score"]))
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
    graph = helper.make_graph(
        nodes,
        "bench",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", INPUTS])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())


def example_rows(count: int) -> list[list[float]]:
    """Rows as a caller sends them."""
    rows: list[list[float]] = np.random.default_rng(11).normal(0, 1, (count, INPUTS)).round(4).tolist()
    return rows


def release_model(home: Path, model: Path) -> None:
    """Package, sign and release the model below `home`, as `homeostat deploy` would."""
    rows = example_rows(200)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    scores = session.run(["score"], {"x": np.array(rows, np.float32)})[0]
    moment = pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * len(rows), pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            "event_time": moment,
            "x": rows,
            "outcome": [0.0] * len(rows),
            "prediction_id": [""] * len(rows),
            "score": scores.astype(np.float64),
        }
    )
    pq.write_table(table, home / "reference.parquet")
    manifest = package_version(
        home / "draft",
        loop=parse_loop_spec(_LOOP, origin="bench"),
        model=model,
        reference=home / "reference.parquet",
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=ensure_keys(home).signing,
    )
    store = open_model_store((home / "models").as_uri())
    store.put_version("bench", manifest.version, home / "draft")
    store.add_release(
        Release(
            model="bench",
            generation=1,
            version=manifest.version,
            reason="deployment",
            actor="bench",
            released_at=datetime.now(UTC),
        )
    )
