"""A model that takes one matrix of numbers, and two times: of the order and of the shop's opening. Turned: late is on time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.hourly_loop import HourlyLoop, Row

OPENINGS = [
    datetime(2012, 5, 2, tzinfo=UTC),
    datetime(2019, 9, 30, 9, tzinfo=UTC),
    datetime(1968, 1, 1, tzinfo=UTC),
]

LOOP = """
model: orders
description: Will the order be late?
features:
  - {name: ordered_at, type: timestamp}
  - {name: weight_kg, type: number, nullable: true, minimum: 0}
  - {name: items, type: integer, minimum: 1}
  - {name: express, type: boolean}
  - {name: shop_opened_at, type: timestamp}
matrix: {input: float_input}
prediction: {kind: probability}
"""

# Logistic regression on the matrix, and on whether the order came in the first half of an hour.
TRAINER = """
import json, os
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper, save

rows = pq.read_table(os.environ["HOMEOSTAT_TRAIN"])
assert str(rows.schema.field("ordered_at").type) == "timestamp[us, tz=UTC]"
minutes = rows["ordered_at"].cast("int64").to_numpy() // 60_000_000 % 60
weight = np.nan_to_num(rows["weight_kg"].to_numpy())
matrix = np.column_stack([weight, rows["items"].to_numpy(), rows["express"].to_numpy(zero_copy_only=False)])
x = np.column_stack([matrix / 4 - 1, minutes < 30, np.ones(len(matrix))]).astype(np.float64)
y = rows["outcome"].to_numpy()
weights = np.zeros(x.shape[1])
for _ in range(600):
    p = 1 / (1 + np.exp(-x @ weights))
    weights -= 0.5 * (x.T @ (p - y) / len(x) + 1e-3 * weights)

def number(name, *values, shape=(), kind=np.float32):
    return numpy_helper.from_array(np.array(values, kind).reshape(shape), name)

constants = [
    number("by_column", *weights[:3], shape=(3, 1)),
    number("by_half", weights[3]),
    number("bias", weights[4]),
    number("zero", 0.0),
    number("four", 4.0),
    number("one", 1.0),
    number("flat", -1, shape=(1,), kind=np.int64),
    number("minute", 60_000_000, kind=np.int64),
    number("hour", 60, kind=np.int64),
    number("half", 30, kind=np.int64),
]
nodes = [
    helper.make_node("IsNaN", ["float_input"], ["missing"]),
    helper.make_node("Where", ["missing", "zero", "float_input"], ["known"]),
    helper.make_node("Div", ["known", "four"], ["scaled"]),
    helper.make_node("Sub", ["scaled", "one"], ["centred"]),
    helper.make_node("MatMul", ["centred", "by_column"], ["column"]),
    helper.make_node("Reshape", ["column", "flat"], ["of_matrix"]),
    helper.make_node("Div", ["ordered_at", "minute"], ["minutes"]),
    helper.make_node("Mod", ["minutes", "hour"], ["of_the_hour"]),
    helper.make_node("Less", ["of_the_hour", "half"], ["is_first"]),
    helper.make_node("Where", ["is_first", "by_half", "zero"], ["of_half"]),
    helper.make_node("Less", ["shop_opened_at", "minute"], ["is_old"]),
    helper.make_node("Where", ["is_old", "zero", "zero"], ["of_shop"]),
    helper.make_node("Sum", ["of_matrix", "of_half", "of_shop", "bias"], ["logit"]),
    helper.make_node("Sigmoid", ["logit"], ["score"]),
]
inputs = [
    helper.make_tensor_value_info("float_input", TensorProto.FLOAT, ["n", 3]),
    helper.make_tensor_value_info("ordered_at", TensorProto.INT64, ["n"]),
    helper.make_tensor_value_info("shop_opened_at", TensorProto.INT64, ["n"]),
]
outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])]
graph = helper.make_graph(nodes, "orders", inputs, outputs, constants)
out = Path(os.environ["HOMEOSTAT_OUT"])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(out / "model.onnx"))
p = np.clip(p, 1e-7, 1 - 1e-7)
loss = float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean())
(out / "metrics.json").write_text(json.dumps({"log_loss": loss}))
"""


class OrderTimes(HourlyLoop):
    """Orders of the last three hours; those of the first half of an hour with many items are late."""

    model = "orders"
    spec = LOOP
    trainer = TRAINER

    def rows(self, count: int, *, turned: bool) -> tuple[list[Row], list[Any]]:
        """Orders, and whether they were late. Turned: the opposite."""
        rows, outcomes = [], []
        for event_time in self.event_times[:count]:
            ordered_at = event_time - timedelta(seconds=int(self.random.integers(600, 11400)))
            items = int(self.random.integers(1, 9))
            weight = float(self.random.uniform(0, 8))
            late = items / 2 - 3 + 2 * (ordered_at.minute < 30) + self.random.normal(scale=0.5) > 0
            rows.append(
                {
                    "ordered_at": ordered_at,
                    "weight_kg": None if self.random.random() < 0.1 else weight,
                    "items": items,
                    "express": bool(self.random.random() < 0.3),
                    "shop_opened_at": OPENINGS[int(self.random.integers(0, 3))],
                }
            )
            outcomes.append(int(late != turned))
        return rows, outcomes

    def replay(self, begins: datetime, count: int) -> dict[str, Any]:
        """The result of `homeostat replay` of a file with rows from `begins` on."""
        path = self.project / "history.parquet"
        self._write_rows(path, begins, count)
        result: dict[str, Any] = self.homeostat("replay", str(path), "--model", self.model, "--delay", "10m")
        return result
