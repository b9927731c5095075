"""A model that answers an embedding: no outcome, no loss, deployed by hand. Turned: the inputs lie elsewhere."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper, save

from tests.e2e.hourly_loop import BEGINS, ROWS_AN_HOUR, WINDOW, HourlyLoop, Row

SIZE = 24

LOOP = f"""
model: vectors
description: Where does a point lie among the others?
features:
  - {{name: x, type: number}}
  - {{name: y, type: number}}
prediction: {{kind: embedding, size: {SIZE}}}
drift: {{window: {{every: 6h, minimum_rows: 100}}}}
"""


class WordVectors(HourlyLoop):
    """Points, and a fixed projection of them."""

    model = "vectors"
    detectors = 1  # without a loss

    def rows(self, count: int, *, turned: bool) -> tuple[list[Row], list[Any]]:
        """Points; nothing turns out later."""
        points = self.random.normal(4 if turned else 0, 1, (count, 2))
        return [{"x": float(x), "y": float(y)} for x, y in points], []

    def deploy_version(self, seed: int) -> None:
        """Package and release a version that was made elsewhere, with reference rows that have no outcome."""
        self.project.mkdir(parents=True, exist_ok=True)
        (self.project / "loop.yaml").write_text(LOOP)
        self.write_model(self.project / "model.onnx", seed)
        (self.project / "metrics.json").write_text("{}")
        rows, _ = self.rows(1500, turned=False)
        times = [BEGINS - timedelta(hours=96) + timedelta(minutes=2 * row) for row in range(len(rows))]
        table = pa.Table.from_pylist(rows).append_column(
            "event_time", pa.array(times, pa.timestamp("us", "UTC"))
        )
        pq.write_table(table, self.project / "reference.parquet")
        self.homeostat("deploy", str(self.project))

    def ask(self, first: int, windows: int, *, turned: bool) -> None:
        """Predict hour by hour."""
        hours = int(WINDOW / timedelta(hours=1))
        for hour in range(first * hours, (first + windows) * hours):
            rows, _ = self.rows(ROWS_AN_HOUR, turned=turned)
            moment = BEGINS + timedelta(hours=hour)
            body = {"model": self.model, "event_time": moment.isoformat(), "rows": rows}
            self.last = self.post("inference", "/predict", body).raise_for_status().json()

    def write_model(self, path: Path, seed: int) -> None:
        """A projection of two numbers to SIZE, by weights drawn from the seed."""
        weights = np.random.default_rng(seed).normal(size=(2, SIZE)).astype(np.float32)
        constants = [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([-1, 1]), "column"),
        ]
        nodes = [
            helper.make_node("Reshape", ["x", "column"], ["xs"]),
            helper.make_node("Reshape", ["y", "column"], ["ys"]),
            helper.make_node("Concat", ["xs", "ys"], ["points"], axis=1),
            helper.make_node("MatMul", ["points", "weights"], ["vector"]),
        ]
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "y")]
        outputs = [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", SIZE])]
        graph = helper.make_graph(nodes, "vectors", inputs, outputs, constants)
        save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9),
            str(path),
        )
