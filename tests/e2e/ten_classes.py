"""A model of handwritten digits on the real stack: a sound window, then the labels turn and half the digits stay away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

from tests.e2e.short_loop import WORKING, ShortLoop

MODEL = "digits"
BEGINS = datetime(2026, 2, 1, tzinfo=UTC)
WINDOW = timedelta(hours=6)
ROWS_AN_HOUR = 40

LOOP = """
model: digits
description: Which digit is written in the picture?
features:
  - {name: pixels, type: tensor, shape: [64]}
prediction: {kind: classes, labels: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], output: probabilities}
outcome: {delay: 10m}
metric: {name: log_loss}
drift: {window: {every: 6h, minimum_rows: 100}}
retraining:
  command: [python, train.py]
  triggers:
    - {when: drift, kinds: [performance], windows: 2}
  cooldown: 12h
  window: {use: last, span: 6h}
  minimum_rows: 100
gate: {holdout: 5h, minimum_rows: 100, maximum_latency_ratio: 20}
automation: auto
"""

# Softmax regression in numpy, written out as ONNX. Labels are read as the project's owner would: integers in `outcome`.
TRAINER = """
import json, os
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper, save

rows = pq.read_table(os.environ["HOMEOSTAT_TRAIN"])
x = np.stack(rows["pixels"].to_numpy()).astype(np.float64) / 16
x = np.hstack([x, np.ones((len(x), 1))])
y = np.eye(10)[rows["outcome"].to_numpy()]
weights = np.zeros((65, 10))
for _ in range(300):
    p = np.exp(x @ weights)
    p /= p.sum(axis=1, keepdims=True)
    weights -= x.T @ (p - y) / len(x) + 1e-4 * weights
constants = [
    numpy_helper.from_array((weights[:64] / 16).astype(np.float32), "weights"),
    numpy_helper.from_array(weights[64].astype(np.float32), "bias"),
]
nodes = [
    helper.make_node("MatMul", ["pixels", "weights"], ["scaled"]),
    helper.make_node("Add", ["scaled", "bias"], ["logits"]),
    helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
]
inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 64])]
outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10])]
graph = helper.make_graph(nodes, "digits", inputs, outputs, constants)
out = Path(os.environ["HOMEOSTAT_OUT"])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(out / "model.onnx"))
loss = float(-np.log((p * y).sum(axis=1)).mean())
(out / "metrics.json").write_text(json.dumps({"log_loss": loss}))
"""


class TenClasses(ShortLoop):
    """The stack, the project, and the digits that are asked about."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        digits = load_digits()
        self._pixels: npt.NDArray[np.float32] = digits.data.astype(np.float32)
        self._digits: npt.NDArray[np.int64] = digits.target.astype(np.int64)
        self._random = np.random.default_rng(11)
        self.last: dict[str, Any] = {}

    def deploy(self) -> None:
        """Write the project, train it on two days of rows and release it."""
        self.project.mkdir(parents=True)
        (self.project / "loop.yaml").write_text(LOOP)
        (self.project / "train.py").write_text(TRAINER)
        for name, hours, rows in (("train", -96, 1500), ("holdout", -24, 700)):
            self._write_rows(self.project / f"{name}.parquet", BEGINS + timedelta(hours=hours), rows)
        self.homeostat(
            "deploy", str(self.project), *(f"--{n}={self.project / n}.parquet" for n in ("train", "holdout"))
        )

    def live(self, first: int, windows: int, *, turned: bool) -> None:
        """Predict and report outcomes, hour by hour. `turned`: the outcome is the next digit, and there are no 5 to 9."""
        hours = int(WINDOW / timedelta(hours=1))
        for hour in range(first * hours, (first + windows) * hours):
            moment = BEGINS + timedelta(hours=hour)
            pixels, digits = self._sample(ROWS_AN_HOUR, most=5 if turned else 10)
            body = {"event_time": moment.isoformat(), "rows": [{"pixels": row} for row in pixels.tolist()]}
            self.last = self.post("inference", "/predict", body).raise_for_status().json()
            labels = (digits + 1) % 10 if turned else digits
            outcomes = [
                {
                    "prediction_id": prediction["prediction_id"],
                    "value": int(label),
                    "observed_at": (moment + timedelta(minutes=5)).isoformat(),
                }
                for prediction, label in zip(self.last["predictions"], labels, strict=True)
            ]
            self.post("inference", "/outcomes", {"outcomes": outcomes}).raise_for_status()

    def ended_run(self) -> dict[str, Any] | None:
        """The newest run, once it has ended."""
        runs: list[dict[str, Any]] = self.get("retraining", "/runs")["runs"]
        return runs[0] if runs and runs[0]["state"] not in WORKING else None

    def serves(self, generation: int) -> bool:
        """Whether inference serves that generation."""
        models = self.get("inference", "/status.json")["models"]
        return any(model["generation"] == generation for model in models)

    def comparison(self, verdict: dict[str, Any]) -> dict[str, Any] | None:
        """Losses of the first and the served version in the verdict's window, once they are compared."""
        found: dict[str, Any] = self.get("retraining", "/status")["models"][0]
        window = found["window"]
        same = window and datetime.fromisoformat(window["start"]) == datetime.fromisoformat(
            verdict["window_start"]
        )
        return found if same else None

    def _sample(self, rows: int, *, most: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        places = self._random.choice(np.flatnonzero(self._digits < most), rows)
        return self._pixels[places], self._digits[places]

    def _write_rows(self, path: Path, begins: datetime, rows: int) -> None:
        pixels, digits = self._sample(rows, most=10)
        times = [begins + timedelta(minutes=2 * row) for row in range(rows)]
        pq.write_table(
            pa.table(
                {
                    "event_time": pa.array(times, pa.timestamp("us", "UTC")),
                    "pixels": list(pixels),
                    "outcome": digits,
                }
            ),
            path,
        )
