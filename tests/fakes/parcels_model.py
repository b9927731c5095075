"""A model of the project that `homeostat init` writes, which the pages of the docs ask: the score is the share of 1000 km."""

from __future__ import annotations

from datetime import UTC, datetime

import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper

from shared.contracts.loop_yaml import parse_loop_spec
from shared.contracts.manifest import Origin
from shared.models.signed_versions.packaging import package_version
from tests.fakes.toy_model import ToyStore
from tests.integration.inference.conftest import ROOT

MODEL = "parcels"


def parcels_onnx() -> bytes:
    """One input per feature, of which only the distance decides."""
    kinds = {
        "service": TensorProto.STRING,
        "distance_km": TensorProto.FLOAT,
        "weight_kg": TensorProto.FLOAT,
        "parcels_today": TensorProto.INT64,
    }
    graph = helper.make_graph(
        [
            helper.make_node("Div", ["distance_km", "far"], ["share"]),
            helper.make_node("Clip", ["share", "least", "most"], ["score"]),
        ],
        MODEL,
        [helper.make_tensor_value_info(name, kind, ["N"]) for name, kind in kinds.items()],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])],
        [
            helper.make_tensor(name, TensorProto.FLOAT, [], [value])
            for name, value in (("far", 1000.0), ("least", 0.0), ("most", 1.0))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    raw: bytes = onnx.ModelProto.SerializeToString(model)
    return raw


def release_parcels(toys: ToyStore) -> None:
    """Package and release the model."""
    draft = toys.home / "drafts" / MODEL
    draft.mkdir(parents=True)
    (draft / "model.onnx").write_bytes(parcels_onnx())
    distances = [100.0 + row for row in range(30)]
    table = {
        "event_time": pa.array(
            [datetime(2026, 1, 1, tzinfo=UTC)] * len(distances), pa.timestamp("us", "UTC")
        ),
        "service": ["economy", "standard", "express"] * 10,
        "distance_km": distances,
        "weight_kg": pa.array([2.5 if row % 2 else None for row in range(30)], pa.float64()),
        "parcels_today": list(range(30)),
        "outcome": [0.0] * len(distances),
        "prediction_id": [""] * len(distances),
        "score": [distance / 1000 for distance in distances],
    }
    pq.write_table(pa.table(table), draft / "reference.parquet")
    manifest = package_version(
        draft / "version",
        loop=parse_loop_spec((ROOT / "cli" / "templates" / "loop.yaml").read_text(encoding="utf-8")),
        model=draft / "model.onnx",
        reference=draft / "reference.parquet",
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=toys.keys.signing,
    )
    toys.store.put_version(MODEL, manifest.version, draft / "version")
    toys.release(manifest.version, model=MODEL)
