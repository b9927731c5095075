"""Models one can check by head: every row's score is the number the version was made with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from shared.contracts.manifest import Manifest, Origin
from shared.contracts.release import Release, Slot
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.models.signed_versions.packaging import package_version
from shared.stores.model_store import ModelStore, open_model_store

LOOP = """
model: {model}
features:
  - {{name: amount, type: number, nullable: true, minimum: 0, maximum: 10}}
  - {{name: count, type: integer}}
  - {{name: member, type: boolean}}
  - {{name: colour, type: category, values: [red, green]}}
prediction: {{kind: {kind}}}
outcome: {{delay: 1h}}
metric: {{name: {metric}}}
drift: {{window: {{every: 1d}}}}
retraining: {{command: [python, train.py]}}
gate: {{holdout: 1d}}
"""

ROW = {"amount": 1.5, "count": 2, "member": True, "colour": "red"}


def toy_loop(model: str = "toy", kind: str = "value") -> LoopSpec:
    return parse_loop_spec(
        LOOP.format(model=model, kind=kind, metric="brier" if kind == "probability" else "mae"), origin="toy"
    )


def toy_onnx(
    score: float,
    *,
    weights: int = 0,
    lacking: str = "",
    domain: str = "",
    score_rank: int = 1,
) -> bytes:
    """A model that answers `score` for every row; `weights` floats make it heavier; `lacking` leaves an input out."""
    kinds = {
        "amount": TensorProto.FLOAT,
        "count": TensorProto.INT64,
        "member": TensorProto.BOOL,
        "colour": TensorProto.STRING,
    }
    inputs = [
        helper.make_tensor_value_info(name, kind, ["N"] if name != "count" else ["N", 1])
        for name, kind in kinds.items()
        if name != lacking
    ]
    nodes = [
        helper.make_node("Flatten", ["count"], ["flat"], axis=0),
        helper.make_node("Squeeze", ["flat", "zero"], ["rows"]),
        helper.make_node("Shape", ["rows"], ["shape"]),
        helper.make_node(
            "ConstantOfShape",
            ["shape"],
            ["constant"],
            value=helper.make_tensor("v", TensorProto.FLOAT, [1], [score]),
        ),
    ]
    constants = [helper.make_tensor("zero", TensorProto.INT64, [1], [0])]
    if weights:
        constants.append(
            helper.make_tensor("heavy", TensorProto.FLOAT, [weights], bytes(4 * weights), raw=True)
        )
        nodes += [
            helper.make_node("ReduceSum", ["heavy"], ["nothing"], keepdims=0),
            helper.make_node("Add", ["constant", "nothing"], ["light"]),
        ]
    last = "light" if weights else "constant"
    if score_rank == 2:
        nodes.append(helper.make_node("Unsqueeze", [last, "one"], ["score"]))
        constants.append(helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    else:
        nodes.append(helper.make_node("Identity", [last], ["score"]))
    if domain:
        nodes.append(helper.make_node("Strange", ["constant"], ["strange"], domain=domain))
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"] if score_rank == 1 else ["N", 1])
    graph = helper.make_graph(nodes, "toy", inputs, [output], constants)
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    raw: bytes = onnx.ModelProto.SerializeToString(model)
    return raw


def toy_reference(path: Path, score: float, rows: int = 30) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    pq.write_table(
        pa.table(
            {
                "event_time": pa.array([moment] * rows, pa.timestamp("us", "UTC")),
                "amount": pa.array([1.0 if index % 2 else None for index in range(rows)], pa.float64()),
                "count": list(range(rows)),
                "member": [True] * rows,
                "colour": ["red" if index % 2 else "green" for index in range(rows)],
                "outcome": [1.0] * rows,
                "prediction_id": [""] * rows,
                "score": [score] * rows,
            }
        ),
        path,
    )


class ToyStore:
    """A home with keys and a model store that toy versions are released into."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.keys = ensure_keys(home)
        self.store: ModelStore = open_model_store((home / "models").as_uri(), self.keys)
        self._drafts = 0

    def put(
        self,
        score: float,
        *,
        model: str = "toy",
        kind: str = "value",
        raw: bytes | None = None,
        said: float | None = None,
    ) -> Manifest:
        """Package a version; `raw` replaces the model's bytes, `said` the score its reference claims."""
        self._drafts += 1
        draft = self.home / "drafts" / str(self._drafts)
        draft.mkdir(parents=True)
        (draft / "model.onnx").write_bytes(toy_onnx(score) if raw is None else raw)
        toy_reference(draft / "reference.parquet", score if said is None else said)
        manifest = package_version(
            draft / "version",
            loop=toy_loop(model, kind),
            model=draft / "model.onnx",
            reference=draft / "reference.parquet",
            origin=Origin(kind="deployment"),
            metrics={},
            signing_key=self.keys.signing,
        )
        self.store.put_version(model, manifest.version, draft / "version")
        return manifest

    def release(self, version: str, *, model: str = "toy") -> Release:
        """Append `version` to the release log."""
        served = self.store.live_release(model)
        release = Release(
            model=model,
            generation=self.store.latest_generation(model) + 1,
            version=version,
            previous=served.version if served else "",
            reason="deployment",
            actor="test",
            released_at=datetime.now(UTC),
        )
        self.store.add_release(release)
        return release

    def start(
        self, version: str, slot: Slot = "canary", share: float = 1.0, *, model: str = "toy"
    ) -> Release:
        """Append an entry of a canary or shadow; a share of 0 withdraws it."""
        entry = Release(
            model=model,
            generation=self.store.latest_generation(model) + 1,
            version=version,
            reason=slot if share and slot != "live" else "withdrawal",
            actor="test",
            released_at=datetime.now(UTC),
            slot=slot,
            share=share,
        )
        return self.store.add_release(entry)

    def put_and_release(
        self, score: float, *, model: str = "toy", kind: str = "value", raw: bytes | None = None
    ) -> Release:
        return self.release(self.put(score, model=model, kind=kind, raw=raw).version, model=model)
