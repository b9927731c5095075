"""`homeostat init`: a project that reads as a loop spec, and never overwrites."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from cli.commands.init import Library
from cli.deployment.parquet_rows import newest_time, read_rows, with_scores
from cli.deployment.review.deployed_rows import DeployedRows
from cli.deployment.review.review import review
from cli.main import app
from shared.contracts.loop_yaml import read_loop_spec
from shared.models.onnx_runner import OnnxModel
from tests.repo.tracked import ROOT
from tests.waiting import bound


def test_project_has_the_given_name(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "mine"), "--model", "letters"])
    assert done.exit_code == 0, done.output
    assert read_loop_spec(tmp_path / "mine").model == "letters"
    assert '"model": "letters"' in (tmp_path / "mine" / "README.md").read_text()


def test_data_of_a_new_project_pass_its_test(tmp_path: Path) -> None:
    project = tmp_path / "mine"
    assert CliRunner().invoke(app, ["init", str(project)]).exit_code == 0
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    # Importing the plugins of this environment takes longer than the test.
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=bound(120),
        )

    assert run("make_data.py").returncode == 0
    tested = run("-m", "pytest", "-q", "test_data.py")
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout
    (project / "holdout.parquet").unlink()
    assert run("-m", "pytest", "-q", "test_data.py").returncode == 1


def test_workflow_runs_that_test(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["init", str(tmp_path / "mine")]).exit_code == 0
    workflow = yaml.safe_load((tmp_path / "mine" / ".github" / "workflows" / "data.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["check"]["steps"]]
    assert "pytest test_data.py" in steps


def test_existing_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("mine")
    done = CliRunner().invoke(app, ["init", str(tmp_path)])
    assert done.exit_code == 3
    assert "train.py already exists" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


def test_invalid_model_name_writes_nothing(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "mine"), "--model", "No Name"])
    assert done.exit_code == 4
    assert "model" in done.stderr
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("library", list(Library))
def test_every_training_command_writes_a_model_without_warnings(library: Library, tmp_path: Path) -> None:
    project = tmp_path / "mine"
    done = CliRunner().invoke(app, ["init", str(project), "--with", library.value])
    assert done.exit_code == 0, done.output
    (project / "out").mkdir()
    places = {"TRAIN": "train.parquet", "OUT": "out"}
    environment = {**os.environ, **{f"HOMEOSTAT_{name}": place for name, place in places.items()}}
    for program in ("make_data.py", "train.py"):
        ran = subprocess.run(
            [sys.executable, program],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
    loop = read_loop_spec(project)
    model = OnnxModel(project / "out" / "model.onnx", loop)
    train, holdout = (
        read_rows(project / f"{name}.parquet", loop, datetime.now(UTC)) for name in ("train", "holdout")
    )
    known = pa.concat_tables([train, holdout]).combine_chunks()
    scored = with_scores(known, loop, model.score(known))
    assert review(loop, DeployedRows(known, scored, newest_time(train))) == []
    rows = pq.read_table(project / "train.parquet")
    newest = rows.slice(int(rows.num_rows * 0.9))
    scores = model.score(newest)
    outcome = newest["outcome"].to_numpy()
    loss = -np.mean(outcome * np.log(scores) + (1 - outcome) * np.log(1 - scores))
    # What was trained is what is served, missing weights included, and it has learned something.
    assert loss == pytest.approx(
        json.loads((project / "out" / "metrics.json").read_text())["log_loss"], abs=1e-5
    )
    assert loss < 0.65
    assert newest["weight_kg"].null_count > 0
