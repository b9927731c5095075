"""Versions of models without a loss: packaged from reference rows without outcomes, or trained if loop.yaml says how."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.deployment.version_builder import VersionBuilder
from shared.contracts.loop_spec import LoopSpec
from shared.errors import ProjectError
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.stores.model_store import open_model_store
from tests.fakes.class_model import class_onnx
from tests.fakes.vector_model import EMBEDDING, LINES, embedding_loop

TENSOR = {"kind": "tensor", "output": "vector"}
START = datetime(2026, 1, 1, tzinfo=UTC)
TRAINER = """
import os, shutil
for name in ("model.onnx", "metrics.json"):
    shutil.copy(name, os.environ["HOMEOSTAT_OUT"])
"""


@pytest.fixture
def builder(tmp_path: Path) -> VersionBuilder:
    store = open_model_store((tmp_path / "models").absolute().as_uri(), None)
    return VersionBuilder(store, ensure_keys(tmp_path / "home"), tmp_path / "log")


def project(tmp_path: Path) -> Path:
    """A model, its metrics and 40 rows without outcomes."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(class_onnx(LINES, name="vector"))
    (folder / "metrics.json").write_text("{}")
    rows = {
        "event_time": [START + timedelta(hours=row) for row in range(40)],
        "line": [row % 3 for row in range(40)],
    }
    pq.write_table(pa.table(rows), folder / "reference.parquet")
    return folder


@pytest.mark.parametrize(
    ("prediction", "answers"), [(EMBEDDING, {"scores"}), (TENSOR, {"score"})], ids=["embedding", "tensor"]
)
def test_version_without_loss_is_packaged_without_outcomes(
    builder: VersionBuilder, tmp_path: Path, prediction: dict[str, Any], answers: set[str]
) -> None:
    manifest = builder.artifact(project(tmp_path), embedding_loop(prediction=prediction)).manifest
    builder.store.get_version("vectors", manifest.version, tmp_path / "version")
    reference = pq.read_table(tmp_path / "version" / "reference.parquet")
    assert set(reference.column_names) == {"event_time", "line", "prediction_id"} | answers
    if "scores" in answers:
        np.testing.assert_array_equal(np.stack(reference["scores"].to_numpy())[:3], LINES)


def test_version_without_loss_may_be_trained(builder: VersionBuilder, tmp_path: Path) -> None:
    folder = project(tmp_path)
    spec = embedding_loop(retraining={"command": ["python", "-c", TRAINER]})
    rows = folder / "reference.parquet"
    manifest = builder.trained(folder, spec, rows=rows, holdout=rows).manifest
    assert LoopSpec.model_validate(manifest.loop.model_dump(mode="json")) == spec


def test_first_training_has_the_limits_of_loop_yaml(builder: VersionBuilder, tmp_path: Path) -> None:
    folder = project(tmp_path)
    greedy = {"command": ["python", "-c", "bytearray(1 << 30)"]}
    spec = embedding_loop(retraining=greedy, training={"memory_mib": 128})
    rows = folder / "reference.parquet"
    with pytest.raises(ProjectError, match="needs more than its limit of 128 MiB of memory"):
        builder.trained(folder, spec, rows=rows, holdout=rows)


def test_columns_of_both_files_are_checked_before_rows_are_read(tmp_path: Path) -> None:
    folder = project(tmp_path)
    steps: list[str] = []
    store = open_model_store((tmp_path / "models").absolute().as_uri(), None)
    builder = VersionBuilder(
        store,
        ensure_keys(tmp_path / "home"),
        tmp_path / "log",
        on_progress=steps.append,
        on_training=lambda command: steps.append(" ".join(command)),
    )
    spec = embedding_loop(retraining={"command": ["python", "-c", TRAINER]})
    rows, holdout = folder / "reference.parquet", folder / "holdout.parquet"
    pq.write_table(pq.read_table(rows).drop_columns(["line"]), holdout)
    with pytest.raises(ProjectError, match=r"holdout.parquet has no column line"):
        builder.trained(folder, spec, rows=rows, holdout=holdout)
    assert steps == []
    builder.trained(folder, spec, rows=rows, holdout=rows)
    assert steps[:3] == ["reading the rows", "training on 40 rows", f"python -c {TRAINER}"]


def test_training_without_a_command_is_refused(builder: VersionBuilder, tmp_path: Path) -> None:
    folder = project(tmp_path)
    rows = folder / "reference.parquet"
    with pytest.raises(ProjectError, match="loop.yaml of vectors has no retraining.command") as refused:
        builder.trained(folder, embedding_loop(), rows=rows, holdout=rows)
    assert "--artifact" in str(refused.value.hint)
