"""`homeostat deploy` of what `homeostat init` wrote, with the real training command; only the services are fakes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner, Result

import homeostat
from cli.main import app
from shared.contracts.manifest import REFERENCE
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.verification import verify_version
from shared.stores.model_store import open_model_store
from tests.unit.cli.fake_service import FakeService, fake_service
from tests.waiting import bound


class Bench:
    """A fresh project with data, and fakes of retraining and inference that take its first release."""

    def __init__(self, folder: Path, retraining: FakeService, inference: FakeService) -> None:
        self.home = folder / "home"
        self.project = folder / "project"
        self.retraining = retraining
        self.inference = inference
        assert CliRunner().invoke(app, ["init", str(self.project)]).exit_code == 0
        subprocess.run(
            [sys.executable, "make_data.py"],
            cwd=self.project,
            check=True,
            timeout=bound(60),
            capture_output=True,
        )
        retraining.answers["POST /models/parcels/deployments"] = (
            201,
            {"release": {"generation": 1}, "new": True},
        )
        retraining.answers["GET /health/live"] = (200, {})
        served = {"name": "parcels", "generation": 1, "last_error": ""}
        inference.answers["GET /status.json"] = (200, {"models": [served]})

    def deploy(self, *options: str) -> Result:
        data = [
            "--train",
            str(self.project / "train.parquet"),
            "--holdout",
            str(self.project / "holdout.parquet"),
            "--no-import",
        ]
        places = [
            "--home",
            str(self.home),
            "--retraining-url",
            self.retraining.url,
            "--inference-url",
            self.inference.url,
        ]
        return CliRunner().invoke(
            app, ["deploy", str(self.project), "--actor", "ada", *places, *(options or data)]
        )

    def releases(self) -> list[tuple[str, Any]]:
        """The requests that release a version, with their bodies; not the empty one that asks for permission."""
        return [one for one in self.retraining.asked if one[0].startswith("POST") and one[1]]

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.project / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with fake_service() as retraining, fake_service() as inference:
        yield Bench(tmp_path, retraining, inference)


def test_new_project_is_trained_signed_and_released(bench: Bench, tmp_path: Path) -> None:
    done = bench.deploy()
    assert done.exit_code == 0, done.output
    assert "warning" not in done.stderr
    assert "training parcels with `python train.py`" in done.stderr

    [(request, body)] = bench.releases()
    assert request == "POST /models/parcels/deployments"
    assert body["actor"] == "ada"
    assert body["project_directory"] == str(bench.project)

    store = open_model_store((bench.home / "models").as_uri(), Keys(bench.home / "keys"))
    store.get_version("parcels", body["version"], tmp_path / "version")
    manifest = verify_version(
        tmp_path / "version", version=body["version"], verifying_key=Keys(bench.home / "keys").verifying
    )
    assert manifest.origin.kind == "deployment"
    assert manifest.origin.trained_until.startswith("2026-01-2")
    assert 0.55 < manifest.metrics["log_loss"] < 0.65

    reference = pq.read_table(tmp_path / "version" / REFERENCE)
    assert reference.num_rows == 6000
    assert {"event_time", "outcome", "prediction_id", "score", "service"} <= set(reference.column_names)
    validated = reference.slice(4860, 540)  # the newest tenth of the 5400 training rows
    p, outcome = validated["score"].to_numpy(), validated["outcome"].to_numpy()
    loss = -np.mean(outcome * np.log(p) + (1 - outcome) * np.log(1 - p))
    assert loss == pytest.approx(manifest.metrics["log_loss"], abs=1e-5)


def test_unsuitable_settings_are_warnings(bench: Bench) -> None:
    bench.edit("loop.yaml", "every: 1d", "every: 1h")
    bench.edit("loop.yaml", "floor: 0.65", "floor: 0.1")
    bench.edit("loop.yaml", "automation: suggest", "automation: auto")
    done = bench.deploy()
    assert done.exit_code == 0, done.output
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert warnings[0] == (
        "warning: drift.window.every: 719 of the 719 windows of 1h in these rows hold fewer rows (usually 8) than "
        "drift.window.minimum_rows (150), so their verdict would be `insufficient_data`; set drift.window.every to 1d or lower "
        "drift.window.minimum_rows"
    )
    # Nobody has tried this policy on past rows.
    keys = ["drift.window.every", "metric.floor", "automation"]
    assert [warning.split(":")[1].strip() for warning in warnings] == keys
    data = [f"--{name}={bench.project / name}.parquet" for name in ("train", "holdout")]
    document = json.loads(bench.deploy(*data, "--json").stdout)
    assert [warning["key"] for warning in document["warnings"]] == keys
    assert set(document["warnings"][0]) == {"key", "message", "hint"}
    assert len(bench.releases()) == 2


def test_same_files_give_same_version(bench: Bench) -> None:
    assert bench.deploy().exit_code == bench.deploy().exit_code == 0
    first, second = (body["version"] for _, body in bench.releases())
    assert first == second


def test_existing_model_is_packaged(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "artifact"
    out.mkdir()
    environment = {
        "HOMEOSTAT_TRAIN": str(bench.project / "train.parquet"),
        "HOMEOSTAT_OUT": str(out),
    }
    subprocess.run(
        [sys.executable, "train.py"], cwd=bench.project, env=environment, check=True, timeout=bound(120)
    )
    assert bench.deploy("--artifact", str(out)).exit_code == 4
    (bench.project / "holdout.parquet").rename(out / "reference.parquet")
    done = bench.deploy("--artifact", str(out))
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("name", "old", "new", "code", "said"),
    [
        ("loop.yaml", "type: integer", "type: whole", 4, "feature parcels_today"),
        ("loop.yaml", "model: parcels", "model: [", 4, "is not YAML at line"),
        ("loop.yaml", "[python, train.py]", "[no-such-program]", 4, "'no-such-program' cannot be started"),
        ("loop.yaml", "time_limit: 10m", "time_limit: 0.1s", 4, "exceeded its time limit of 0.1 s"),
        (
            "train.py",
            "def main() -> None:",
            "def main() -> None:\n    raise SystemExit('no luck')",
            4,
            "no luck",
        ),
        ("train.py", '"model.onnx"', '"other.onnx"', 4, "wrote no model.onnx"),
        ("train.py", "model.SerializeToString()", 'b"not a model"', 4, "model.onnx is not an ONNX model"),
        (
            "train.py",
            '"service", TensorProto',
            '"sort", TensorProto',
            4,
            "the training command failed with exit code 1",
        ),
        ("train.py", "float(log_loss)", 'float("nan")', 4, "metrics.json"),
        ("make_data.py", "", "", 0, ""),
    ],
)
def test_broken_project_is_not_released(
    bench: Bench, name: str, old: str, new: str, code: int, said: str
) -> None:
    if old:
        bench.edit(name, old, new)
    done = bench.deploy()
    assert done.exit_code == code, done.output
    assert said in done.stderr
    assert bool(bench.releases()) == (code == 0)


def test_missing_column_is_named(bench: Bench) -> None:
    path = bench.project / "holdout.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["weight_kg"]), path)
    done = bench.deploy()
    assert done.exit_code == 4
    assert "holdout.parquet has no column weight_kg" in done.stderr
    assert "training parcels" not in done.stderr


def test_unloadable_version_is_reported(bench: Bench) -> None:
    bench.inference.answers["GET /status.json"] = (
        200,
        {"models": [{"name": "parcels", "generation": 0, "last_error": "the probe disagrees"}]},
    )
    data = [
        "--train",
        str(bench.project / "train.parquet"),
        "--holdout",
        str(bench.project / "holdout.parquet"),
    ]
    done = bench.deploy(*data, "--wait", "0.5")
    assert done.exit_code == 5
    assert "the probe disagrees" in done.stderr


def test_missing_data_and_artifact_is_an_error(bench: Bench) -> None:
    done = bench.deploy("--wait", "1")
    assert done.exit_code == 3
    assert "either --train and --holdout, or --artifact" in done.stderr


def test_exported_project_is_deployed_without_options(bench: Bench, tmp_path: Path) -> None:
    rows = pq.read_table(bench.project / "train.parquet").to_pandas()
    fitted = LogisticRegression(max_iter=500).fit(rows[["distance_km", "parcels_today"]], rows["outcome"])
    bench.project = tmp_path / "exported"
    homeostat.export(fitted, rows, bench.project, name="parcels")

    done = bench.deploy("--wait", "60")
    assert done.exit_code == 0, done.output
    assert "warning" not in done.stderr

    [(_, body)] = bench.releases()
    store = open_model_store((bench.home / "models").as_uri(), Keys(bench.home / "keys"))
    store.get_version("parcels", body["version"], tmp_path / "version")
    reference = pq.read_table(tmp_path / "version" / REFERENCE)
    expected = fitted.predict_proba(rows[["distance_km", "parcels_today"]])[:, 1]
    np.testing.assert_allclose(reference["score"], expected, atol=1e-6)


def test_exported_images_with_classes_are_deployed(bench: Bench, tmp_path: Path) -> None:
    digits = load_digits()
    rows = pd.DataFrame({"image": list(digits.images), "outcome": digits.target})
    flat = helper.make_node("Reshape", ["images", "shape"], ["pixels"])
    scores = helper.make_node("MatMul", ["pixels", "means"], ["logits"])
    means = np.stack([digits.data[digits.target == digit].mean(axis=0) for digit in range(10)], axis=1)
    graph = helper.make_graph(
        [flat, scores],
        "nearest",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["rows", 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 10])],
        [
            numpy_helper.from_array(np.array([-1, 64]), "shape"),
            numpy_helper.from_array((means / np.linalg.norm(means, axis=0)).astype(np.float32), "means"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    bench.project = tmp_path / "digits"
    report = homeostat.export(model, rows, bench.project, name="parcels")
    assert report.kind.labels == tuple(range(10))

    done = bench.deploy("--wait", "60")
    assert done.exit_code == 0, done.output
    [(_, body)] = bench.releases()
    store = open_model_store((bench.home / "models").as_uri(), Keys(bench.home / "keys"))
    store.get_version("parcels", body["version"], tmp_path / "version")
    reference = pq.read_table(tmp_path / "version" / REFERENCE)
    right = np.mean(np.array(reference["label"].to_pylist()).astype(int) == digits.target)
    assert right > 0.85


def test_model_file_is_exported_and_deployed(bench: Bench, tmp_path: Path) -> None:
    rows = pq.read_table(bench.project / "train.parquet").to_pandas()
    fitted = LogisticRegression(max_iter=500).fit(rows[["distance_km", "parcels_today"]], rows["outcome"])
    reference = str(bench.project / "train.parquet")
    bench.project = tmp_path / "parcels.pkl"
    bench.project.write_bytes(pickle.dumps(fitted))

    refused = bench.deploy("--wait", "60")
    assert refused.exit_code == 3, refused.output
    assert "is a file, not the folder" in refused.stderr

    done = bench.deploy("--reference", reference)
    assert done.exit_code == 0, done.output
    assert f"loading {bench.project} with" in " ".join(done.stderr.split())
    [(_, body)] = bench.releases()
    assert body["project_directory"] == str(tmp_path / "parcels")
