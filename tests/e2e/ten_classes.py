"""A model of handwritten digits, with ten classes. Turned: the outcome is the next digit, and there are no 5 to 9."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

from tests.e2e.hourly_loop import HourlyLoop, Row

LOOP = """
model: digits
description: Which digit is written in the picture?
features:
  - {name: pixels, type: tensor, shape: [64]}
prediction: {kind: classes, labels: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], output: probabilities}
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


class TenClasses(HourlyLoop):
    """The digits of scikit-learn."""

    model = "digits"
    spec = LOOP
    trainer = TRAINER

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        digits = load_digits()
        self._pixels: npt.NDArray[np.float32] = digits.data.astype(np.float32)
        self._digits: npt.NDArray[np.int64] = digits.target.astype(np.int64)

    def rows(self, count: int, *, turned: bool) -> tuple[list[Row], list[Any]]:
        """Pixels and digits."""
        places = self.random.choice(np.flatnonzero(self._digits < (5 if turned else 10)), count)
        digits = self._digits[places]
        labels = (digits + 1) % 10 if turned else digits
        return [{"pixels": row} for row in self._pixels[places].tolist()], labels.tolist()
