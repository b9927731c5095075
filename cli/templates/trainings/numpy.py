"""The training command: reads train.parquet, writes model.onnx and metrics.json.

    HOMEOSTAT_TRAIN=train.parquet HOMEOSTAT_OUT=out python train.py

A logistic regression with its preprocessing inside the ONNX graph. Replace it by anything that writes the same two files.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

SERVICES = ["economy", "standard", "express"]
NUMBERS = ["distance_km", "weight_kg", "parcels_today"]
STEPS = 30
RIDGE = 1e-3
VALIDATION = 0.1  # share of the rows, the newest, that metrics.json is measured on


def read(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index of the service (0 where unknown, from 1 on), the numbers (NaN where missing), the outcome."""
    table = pq.read_table(path).sort_by("event_time")
    services = {name: place for place, name in enumerate(SERVICES, start=1)}
    codes = np.array([services.get(name, 0) for name in table["service"].to_pylist()])
    numbers = np.column_stack([table[name].cast("double").to_numpy() for name in NUMBERS])
    return codes, numbers, table["outcome"].to_numpy()


def prepare(codes: np.ndarray, numbers: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The columns of the regression: one per service, then the scaled numbers; a missing number counts as the mean."""
    one_hot = np.eye(len(SERVICES) + 1)[codes]
    return np.hstack([one_hot, (np.where(np.isnan(numbers), mean, numbers) - mean) / spread])


def fit(columns: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Weights of a ridge logistic regression, by Newton's method."""
    weights = np.zeros(columns.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-columns @ weights))
        gradient = columns.T @ (p - outcome) / len(outcome) + RIDGE * weights
        curvature = (columns * (p * (1 - p))[:, None]).T @ columns / len(outcome) + RIDGE * np.eye(
            len(weights)
        )
        weights -= np.linalg.solve(curvature, gradient)
    return weights


def write_onnx(path: Path, weights: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> None:
    """One input [N] per feature under its name, one output `score` [N]."""
    places = len(SERVICES) + 1
    constants = {
        "table": weights[:places],
        "slopes": weights[places:, None],
        "mean": mean,
        "spread": spread,
        "axis": np.array([1]),
    }
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["service"],
            ["code"],
            domain="ai.onnx.ml",
            keys_strings=SERVICES,
            values_int64s=list(range(1, places)),
            default_int64=0,
        ),
        helper.make_node("Gather", ["table", "code"], ["level"]),
        helper.make_node("Cast", ["parcels_today"], ["parcels_number"], to=TensorProto.FLOAT),
    ]
    for name in ("distance_km", "weight_kg", "parcels_number"):
        nodes.append(helper.make_node("Unsqueeze", [name, "axis"], [f"{name}_column"]))
    nodes += [
        helper.make_node(
            "Concat", ["distance_km_column", "weight_kg_column", "parcels_number_column"], ["raw"], axis=1
        ),
        helper.make_node("IsNaN", ["raw"], ["missing"]),
        helper.make_node("Where", ["missing", "mean", "raw"], ["known"]),
        helper.make_node("Sub", ["known", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "spread"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "slopes"], ["slope_column"]),
        helper.make_node("Squeeze", ["slope_column", "axis"], ["slope"]),
        helper.make_node("Add", ["level", "slope"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    inputs = [
        helper.make_tensor_value_info("service", TensorProto.STRING, ["rows"]),
        helper.make_tensor_value_info("distance_km", TensorProto.FLOAT, ["rows"]),
        helper.make_tensor_value_info("weight_kg", TensorProto.FLOAT, ["rows"]),
        helper.make_tensor_value_info("parcels_today", TensorProto.INT64, ["rows"]),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows"])
    initializers = [
        numpy_helper.from_array(value if name == "axis" else value.astype(np.float32), name)
        for name, value in constants.items()
    ]
    graph = helper.make_graph(nodes, "parcels", inputs, [output], initializers)
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def main() -> None:
    """Train on the older rows, measure on the newest, write both files."""
    codes, numbers, outcome = read(os.environ["HOMEOSTAT_TRAIN"])
    cut = int(len(outcome) * (1 - VALIDATION))
    mean = np.nanmean(numbers[:cut], axis=0)
    spread = np.nanstd(numbers[:cut], axis=0) + 1e-9
    columns = prepare(codes, numbers, mean, spread)
    weights = fit(columns[:cut], outcome[:cut])
    late = outcome[cut:]
    # A sure and wrong answer has a large loss, not an infinite one.
    p = np.clip(1 / (1 + np.exp(-columns[cut:] @ weights)), 1e-9, 1 - 1e-9)
    log_loss = -np.mean(late * np.log(p) + (1 - late) * np.log(1 - p))
    out = Path(os.environ["HOMEOSTAT_OUT"])
    write_onnx(out / "model.onnx", weights, mean, spread)
    (out / "metrics.json").write_text(json.dumps({"log_loss": float(log_loss)}))


if __name__ == "__main__":
    main()
