"""A model of three numbers per row: when an order arrives, as low, middle and high. Turned: everything takes twice as long."""

from __future__ import annotations

from typing import Any

from tests.e2e.hourly_loop import HourlyLoop, Row

NAMES = ("low", "mid", "high")

LOOP = """
model: arrivals
description: Between how many minutes does an order take?
features:
  - {name: distance, type: number}
  - {name: items, type: integer}
prediction: {kind: values, names: [low, mid, high], output: minutes}
"""

# Least squares per name, written out as ONNX. In the training data the outcome is a struct.
TRAINER = """
import json, os
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper, save

NAMES = ["low", "mid", "high"]
rows = pq.read_table(os.environ["HOMEOSTAT_TRAIN"])
outcome = rows["outcome"].combine_chunks()
x = np.column_stack([rows["distance"].to_numpy(), rows["items"].to_numpy(), np.ones(len(rows))])
y = np.column_stack([outcome.field(name).to_numpy(zero_copy_only=False) for name in NAMES])
weights = np.linalg.lstsq(x, y, rcond=None)[0]
constants = [
    numpy_helper.from_array(weights[:2].astype(np.float32), "weights"),
    numpy_helper.from_array(weights[2].astype(np.float32), "bias"),
    numpy_helper.from_array(np.array([-1, 1]), "column"),
]
nodes = [
    helper.make_node("Reshape", ["distance", "column"], ["distances"]),
    helper.make_node("Cast", ["items"], ["number"], to=TensorProto.FLOAT),
    helper.make_node("Reshape", ["number", "column"], ["numbers"]),
    helper.make_node("Concat", ["distances", "numbers"], ["x"], axis=1),
    helper.make_node("MatMul", ["x", "weights"], ["scaled"]),
    helper.make_node("Add", ["scaled", "bias"], ["minutes"]),
]
inputs = [
    helper.make_tensor_value_info("distance", TensorProto.FLOAT, ["n"]),
    helper.make_tensor_value_info("items", TensorProto.INT64, ["n"]),
]
outputs = [helper.make_tensor_value_info("minutes", TensorProto.FLOAT, ["n", 3])]
graph = helper.make_graph(nodes, "arrivals", inputs, outputs, constants)
out = Path(os.environ["HOMEOSTAT_OUT"])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(out / "model.onnx"))
(out / "metrics.json").write_text(json.dumps({"mae": float(np.abs(x @ weights - y).mean())}))
"""


class ArrivalRanges(HourlyLoop):
    """Orders whose minutes depend on distance and items, with noise."""

    model = "arrivals"
    spec = LOOP
    trainer = TRAINER
    metric = "mae"

    def rows(self, count: int, *, turned: bool) -> tuple[list[Row], list[Any]]:
        """Distances and items, and the minutes as low, mid and high."""
        rows, outcomes = [], []
        for distance, items in zip(
            self.random.uniform(1, 9, count), self.random.integers(1, 6, count), strict=True
        ):
            minutes = (5 + 3 * distance + 2 * items) * (2 if turned else 1)
            spread = self.random.normal(0, 1, 3)
            rows.append({"distance": float(distance), "items": int(items)})
            outcomes.append(
                {
                    name: float(minutes + offset + noise)
                    for name, offset, noise in zip(NAMES, (-4, 0, 4), spread, strict=True)
                }
            )
        return rows, outcomes
