"""A model with a feature of each protection: its answer is amount + age, and 1000 more if `customer` is a pseudonym."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper

from cli.deployment.version_builder import VersionBuilder
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Manifest
from tests.fakes.toy_model import ToyStore

NAMES = ("customer", "note", "age", "amount")
DOCUMENT: dict[str, Any] = {
    "model": "loans",
    "features": [
        {"name": "customer", "type": "category", "unknown": "serve", "personal": "pseudonym"},
        {"name": "note", "type": "text", "nullable": True, "personal": "mask"},
        {"name": "age", "type": "number", "nullable": True, "personal": "drop"},
        {"name": "amount", "type": "number"},
    ],
    "prediction": {"kind": "value"},
    "outcome": {"delay": "1h"},
    "metric": {"name": "mae"},
    "drift": {"window": {"every": "1d"}},
    "retraining": {"command": ["python", "train.py"]},
    "gate": {"holdout": "1d"},
    "automation": "observe",
}


def personal_loop(**changes: Any) -> LoopSpec:
    return LoopSpec.model_validate(DOCUMENT | changes)


def personal_onnx() -> bytes:
    """`note` is read and changes nothing; a missing age counts 0."""
    nodes = [
        helper.make_node("RegexFullMatch", ["customer"], ["is_pseudonym"], pattern="ps_[0-9a-f]{32}"),
        helper.make_node("Where", ["is_pseudonym", "thousand", "zero"], ["bonus"]),
        helper.make_node("RegexFullMatch", ["note"], ["is_noted"], pattern=".*"),
        helper.make_node("Where", ["is_noted", "zero", "zero"], ["nothing"]),
        helper.make_node("IsNaN", ["age"], ["is_ageless"]),
        helper.make_node("Where", ["is_ageless", "zero", "age"], ["years"]),
        helper.make_node("Sum", ["amount", "years", "bonus", "nothing"], ["value"]),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.FLOAT, [], [number])
        for name, number in (("zero", 0.0), ("thousand", 1000.0))
    ]
    kinds = [TensorProto.STRING, TensorProto.STRING, TensorProto.FLOAT, TensorProto.FLOAT]
    inputs = [
        helper.make_tensor_value_info(name, kind, ["N"]) for name, kind in zip(NAMES, kinds, strict=True)
    ]
    output = helper.make_tensor_value_info("value", TensorProto.FLOAT, ["N"])
    graph = helper.make_graph(nodes, "loans", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    raw: bytes = onnx.ModelProto.SerializeToString(model)
    return raw


def put_personal(
    toys: ToyStore, *, rows: int = 40, value: str = "anna", loop: LoopSpec | None = None
) -> Manifest:
    """Deploy it from rows of that customer, with that note."""
    folder = toys.home / "drafts" / "loans"
    folder.mkdir(parents=True)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    columns = {
        "event_time": [start + timedelta(hours=row) for row in range(rows)],
        "customer": [value] * rows,
        "note": [value] * rows,
        "age": [40.0] * rows,
        "amount": [float(row) for row in range(rows)],
        "outcome": [1.0] * rows,
    }
    (folder / "model.onnx").write_bytes(personal_onnx())
    (folder / "metrics.json").write_text("{}")
    pq.write_table(pa.table(columns), folder / "reference.parquet")
    builder = VersionBuilder(toys.store, toys.keys, toys.home / "deploy.log")
    return builder.artifact(Path(folder), loop or personal_loop()).manifest
