"""The training command: reads train.parquet, writes model.onnx and metrics.json.

    HOMEOSTAT_TRAIN=train.parquet HOMEOSTAT_OUT=out python train.py

A scikit-learn pipeline. Its preprocessing goes into the ONNX graph with it, so that serving gets raw values. Replace `pipeline`
by any estimator that skl2onnx converts: https://onnx.ai/sklearn-onnx/supported.html
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import onnx
import pandas as pd
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

CATEGORIES = ["service"]
NUMBERS = ["distance_km", "weight_kg"]
INTEGERS = ["parcels_today"]
FEATURES = CATEGORIES + NUMBERS + INTEGERS
VALIDATION = 0.1  # share of the rows, the newest, that metrics.json is measured on


def pipeline() -> Pipeline:
    """What is trained: raw columns in, the probability of the outcome 1 out."""
    columns = ColumnTransformer(
        [
            ("categories", OneHotEncoder(handle_unknown="ignore"), CATEGORIES),
            ("numbers", make_pipeline(SimpleImputer(strategy="mean"), StandardScaler()), NUMBERS),
            ("integers", StandardScaler(), INTEGERS),
        ]
    )
    return Pipeline([("columns", columns), ("model", GradientBoostingClassifier(random_state=1))])


def read(path: str) -> tuple[pd.DataFrame, pd.Series]:
    """The features as a frame, and the outcome. A missing category is an empty string, as it is when served."""
    rows = pd.read_parquet(path).sort_values("event_time", kind="stable")
    return rows[FEATURES].fillna(dict.fromkeys(CATEGORIES, "")), rows["outcome"]


def write_onnx(path: Path, fitted: Pipeline) -> None:
    """One input [N, 1] per feature under its name, one output `score` [N]: the second column of the probabilities."""
    types = (
        [(name, StringTensorType([None, 1])) for name in CATEGORIES]
        + [(name, FloatTensorType([None, 1])) for name in NUMBERS]
        + [(name, Int64TensorType([None, 1])) for name in INTEGERS]
    )
    model = to_onnx(
        fitted, initial_types=types, options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3}
    )
    model.graph.initializer.append(helper.make_tensor("one", TensorProto.INT64, [], [1]))
    model.graph.node.append(helper.make_node("Gather", ["probabilities", "one"], ["score"], axis=1))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("score", TensorProto.FLOAT, ["rows"]))
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def main() -> None:
    """Train on the older rows, measure on the newest, write both files."""
    features, outcome = read(os.environ["HOMEOSTAT_TRAIN"])
    cut = int(len(outcome) * (1 - VALIDATION))
    fitted = pipeline().fit(features[:cut], outcome[:cut])
    loss = log_loss(outcome[cut:], fitted.predict_proba(features[cut:])[:, 1])
    out = Path(os.environ["HOMEOSTAT_OUT"])
    write_onnx(out / "model.onnx", fitted)
    (out / "metrics.json").write_text(json.dumps({"log_loss": float(loss)}))


if __name__ == "__main__":
    main()
