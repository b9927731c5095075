"""The training command of test projects. Its arguments make it fail, hang, or write a worse or a broken model."""

from __future__ import annotations

# Logistic regression on x in numpy, written out as ONNX: real, deterministic and fast.
TRAINER = """
import json, os, sys, time
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper, save

def write(path, slope, shift):
    numbers = ("slope", slope), ("shift", shift)
    constants = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in numbers]
    nodes = [
        helper.make_node("IsNaN", ["x"], ["missing"]),
        helper.make_node("Where", ["missing", "shift", "x"], ["filled"]),
        helper.make_node("Mul", ["filled", "slope"], ["scaled"]),
        helper.make_node("LabelEncoder", ["color"], ["code"], domain="ai.onnx.ml", keys_strings=["red", "blue"],
                         values_floats=[0.0, 0.0], default_float=0.0),
        helper.make_node("Add", ["scaled", "code"], ["sum"]),
        helper.make_node("Add", ["sum", "shift"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    kinds = {"x": TensorProto.FLOAT, "color": TensorProto.STRING}
    inputs = [helper.make_tensor_value_info(name, kind, ["n"]) for name, kind in kinds.items()]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])]
    graph = helper.make_graph(nodes, "toy", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(path))

def fit(path):
    rows = pq.read_table(path)
    x = np.stack([np.nan_to_num(rows["x"].to_numpy()), np.ones(rows.num_rows)], axis=1)
    y, weights = rows["outcome"].to_numpy(), np.zeros(2)
    for _ in range(15):
        p = 1 / (1 + np.exp(-x @ weights))
        weights += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + np.eye(2) * 1e-3, x.T @ (y - p))
    return float(weights[0]), float(weights[1]), rows.num_rows

if __name__ == "__main__":
    out = Path(os.environ["HOMEOSTAT_OUT"])
    with open(Path(__file__).parent / "trainings.log", "a") as log:
        log.write(out.parent.parent.parent.name + "\\n")
    how = sys.argv[1] if len(sys.argv) > 1 else ""
    if how == "fail":
        print("the data looks odd"); sys.exit(3)
    if how == "hang":
        import subprocess
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        time.sleep(600)
    if how == "slow":
        time.sleep(float(sys.argv[2]))
    slope, shift, count = fit(os.environ["HOMEOSTAT_TRAIN"])
    if how == "worse":
        slope = -slope
    write(out / "model.onnx", slope, shift)
    if how == "broken":
        (out / "model.onnx").write_bytes(b"not a model")
    if how == "silent":
        sys.exit(0)
    (out / "metrics.json").write_text(json.dumps({"rows": count, "loss": float("nan") if how == "nan" else 0.5}))
"""
