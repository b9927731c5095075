"""Signed versions of logistic models, in a store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from loadtests.rollout.worlds import Weights
from shared.contracts.lake_schema import TIMESTAMP
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Origin
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.packaging import package_version
from shared.stores.model_store import ModelStore

FEATURES = ("a", "b", "z")
START = datetime(2020, 1, 1, tzinfo=UTC)


def loop_of(model: str, watch_hours: int) -> LoopSpec:
    """The specification of a model whose releases are watched."""
    return LoopSpec.model_validate(
        {
            "model": model,
            "features": [{"name": name, "type": "number"} for name in FEATURES],
            "prediction": {"kind": "probability"},
            "outcome": {"delay": "1h"},
            "metric": {"name": "log_loss"},
            "drift": {"window": {"every": "1d"}},
            "retraining": {"command": ["python", "train.py"]},
            "gate": {"holdout": "7d"},
            "rollout": {"watch": f"{watch_hours}h"},
            "automation": "auto",
        }
    )


def store_version(folder: Path, store: ModelStore, keys: Keys, spec: LoopSpec, weights: Weights) -> str:
    """Package, sign and store a version below `folder`, which must not exist; its name."""
    folder.mkdir(parents=True)
    _write(folder / "model.onnx", weights)
    columns: dict[str, pa.Array] = {"event_time": pa.array([START], TIMESTAMP)}
    columns |= {name: pa.array([0.0]) for name in (*FEATURES, "outcome")}
    pq.write_table(pa.table({**columns, "score": [0.5]}), folder / "reference.parquet")
    manifest = package_version(
        folder / "version",
        loop=spec,
        model=folder / "model.onnx",
        reference=folder / "reference.parquet",
        origin=Origin(kind="deployment", trained_until=START.isoformat()),
        metrics={},
        signing_key=keys.signing,
    )
    store.put_version(spec.model, manifest.version, folder / "version")
    return manifest.version


def _write(path: Path, weights: Weights) -> None:
    constants = [
        numpy_helper.from_array(np.array(weight, np.float32), f"weight_{name}")
        for name, weight in zip(FEATURES, weights, strict=True)
    ]
    nodes = [helper.make_node("Mul", [name, f"weight_{name}"], [f"part_{name}"]) for name in FEATURES]
    nodes += [
        helper.make_node("Sum", [f"part_{name}" for name in FEATURES], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in FEATURES]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])]
    graph = helper.make_graph(nodes, "logistic", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
