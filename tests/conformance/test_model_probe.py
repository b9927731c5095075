"""One probe: deployment, the gate and the server refuse the same models, with the same message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from cli.deployment.version_builder import VersionBuilder
from services.inference.models.loader import Loader
from services.inference.models.servable import Engine
from services.inference.runtimes.devices import Device
from services.inference.runtimes.engines import EXACT, EngineOptions
from services.inference.runtimes.onnx import OnnxModel
from services.retraining.runs.evaluation import compare
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Origin
from shared.contracts.release import Release
from shared.errors import UnservableModel
from shared.models.probe import SAMPLE, spread
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.models.signed_versions.packaging import package_version
from shared.stores.model_store import open_model_store
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import loop_with
from tests.fakes.trial import trial_in_this_process

CPU = Device("cpu", ("CPUExecutionProvider",), "requested")
START = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = LoopSpec.model_validate(loop_with(features=[{"name": "x", "type": "number"}]))
ROWS = pa.table(
    {
        "event_time": [START + timedelta(minutes=minute) for minute in range(100)],
        "x": np.linspace(0.01, 0.99, 100),
        "outcome": [0.0, 1.0] * 50,
        "prediction_id": [""] * 100,
    }
)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def model(*nodes: Any) -> bytes:
    """A model of x whose output `score` is made by `nodes`."""
    constants = [
        helper.make_tensor("half", TensorProto.FLOAT, [], [0.5]),
        helper.make_tensor("two", TensorProto.FLOAT, [], [2.0]),
        helper.make_tensor("third", TensorProto.FLOAT, [], [ROWS["x"][2].as_py()]),
        helper.make_tensor("training", TensorProto.BOOL, [], [True]),
    ]
    graph = helper.make_graph(
        list(nodes),
        "m",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N"])],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


GOOD = model(node("Identity", "x", "score"))
BAD = {
    "dropout left on": (
        model(node("Dropout", "x half training", "dropped"), node("Mul", "dropped half", "score")),
        "the model gives different scores for the same rows",
    ),
    "batch mean": (
        model(
            node("ReduceMean", "x", "mean", keepdims=1),
            node("Sub", "x mean", "centred"),
            node("Sigmoid", "centred", "score"),
        ),
        "the model's score of row 0 depends on other rows in the batch",
    ),
    "no probability": (model(node("Mul", "x two", "score")), "the model's scores are outside [0, 1]"),
}


def deploy(raw: bytes, home: Path) -> None:
    folder = home / "artifact"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(raw)
    (folder / "metrics.json").write_text('{"log_loss": 0.6}')
    pq.write_table(ROWS, folder / "reference.parquet")
    store = open_model_store((home / "models").as_uri(), ensure_keys(home))
    VersionBuilder(store, ensure_keys(home), home / "deploy.log").artifact(folder, SPEC)


def gate(raw: bytes, home: Path) -> None:
    (home / "model.onnx").write_bytes(raw)
    result = compare(
        SPEC,
        ROWS,
        version="0" * 64,
        challenger=home / "model.onnx",
        champion_version="",
        champion=None,
        champion_spec=None,
        calls=1,
        open_model=open_in_process,
    )
    failed = [check for check in result.checks if check.name == "contract"]
    if failed:
        assert not result.passed
        raise UnservableModel(failed[0].reason)


class Recording(OnnxModel):
    """Remembers the rows that it ran alone."""

    alone: ClassVar[list[float]] = []

    def run(self, output: str, feeds: Mapping[str, Any]) -> Any:
        if len(feeds["x"]) == 1:
            self.alone.append(float(feeds["x"].item()))
        return super().run(output, feeds)


def server(raw: bytes, home: Path, engine: type[OnnxModel] = OnnxModel, probe_rows: int = 64) -> None:
    """Load a version that was packaged without a probe."""
    keys = ensure_keys(home)
    store = open_model_store((home / "models").as_uri(), keys)
    (home / "model.onnx").write_bytes(raw)
    pq.write_table(ROWS.append_column("score", ROWS["x"]), home / "reference.parquet")
    manifest = package_version(
        home / "version",
        loop=SPEC,
        model=home / "model.onnx",
        reference=home / "reference.parquet",
        origin=Origin(kind="deployment"),
        metrics={},
        signing_key=keys.signing,
    )
    store.put_version(SPEC.model, manifest.version, home / "version")
    release = Release(
        model=SPEC.model,
        generation=1,
        version=manifest.version,
        previous="",
        reason="deployment",
        actor="test",
        released_at=datetime.now(UTC),
    )

    def opened(_: str, content: bytes, options: EngineOptions) -> Engine:
        return engine(content, device=CPU, threads=1)

    loader = Loader(
        store,
        verifying_key=keys.verifying,
        trial=trial_in_this_process(opened),
        engine=opened,
        options=lambda manifest: EXACT,
        probe_rows=probe_rows,
        probe_tolerance=1e-3,
        precision_tolerance=1e-2,
    )
    loader.load(release)


@pytest.mark.parametrize("use", [deploy, gate, server])
def test_good_model_passes(use: Callable[[bytes, Path], None], tmp_path: Path) -> None:
    use(GOOD, tmp_path)


@pytest.mark.parametrize("use", [deploy, gate, server])
@pytest.mark.parametrize(("raw", "message"), BAD.values(), ids=BAD)
def test_bad_behaviour_is_refused(
    use: Callable[[bytes, Path], None], raw: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnservableModel) as refused:
        use(raw, tmp_path)
    assert refused.value.message.startswith(message)
    assert not list((tmp_path / "models").rglob("model.onnx")) or use is server


def test_server_probes_the_rows_of_the_deployment(tmp_path: Path) -> None:
    """So no version is released that inference then refuses, however few rows it compares with the packaged scores."""
    Recording.alone.clear()
    server(GOOD, tmp_path, Recording, probe_rows=8)
    sample = ROWS["x"].to_numpy()[spread(ROWS.num_rows, SAMPLE)].astype(np.float32)
    assert Recording.alone[:SAMPLE] == sample.tolist()


@pytest.mark.parametrize("use", [deploy, gate])
def test_one_score_that_is_no_probability_is_refused(
    use: Callable[[bytes, Path], None], tmp_path: Path
) -> None:
    """Beside the sample: the third of 100 rows."""
    assert 2 not in spread(ROWS.num_rows, SAMPLE)
    rare = model(node("Equal", "x third", "rare"), node("Where", "rare two x", "score"))
    with pytest.raises(UnservableModel, match=r"outside \[0, 1\]: row 2 has 2"):
        use(rare, tmp_path)
