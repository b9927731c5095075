"""Which runs' files an erasure touches, and which runs are taking a snapshot."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.erasure.run_files import RunFiles
from shared.stores.erasure.subject import Subject

CANARY, OTHER = "canary-3101", "beatrice-3"
SUBJECT = Subject((CANARY,))
IDS = frozenset({"p1"})


def put_run(home: Path, run: str, model: str | None) -> Path:
    """Training rows: one by the subject's name, one by a prediction's id, one of another person."""
    path = home / "runs" / run / "snapshot" / "train.parquet"
    path.parent.mkdir(parents=True)
    names = pa.array([CANARY, OTHER, OTHER])
    pq.write_table(pa.table({"customer": names, "prediction_id": ["p0", "p1", "p2"]}), path)
    summary = {} if model is None else {"model": model}
    (path.parent / "snapshot.json").write_text(json.dumps(summary))
    return path


def ids_left(path: Path) -> list[str]:
    found: list[str] = pq.read_table(path)["prediction_id"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("model", "is_limited", "left"),
    [
        ("loans", True, ["p2"]),
        ("trains", True, ["p0", "p1", "p2"]),
        (None, True, ["p0", "p2"]),  # an earlier release began it: nothing is known but the ids
        ("trains", False, ["p2"]),
        (None, False, ["p2"]),
    ],
)
def test_files_of_other_models_are_left(
    tmp_path: Path, model: str | None, is_limited: bool, left: list[str]
) -> None:
    path = put_run(tmp_path, "r1", model)
    before = path.read_bytes()
    files = RunFiles(tmp_path, {"loans": frozenset({"customer"})}, is_limited=is_limited)
    found = files.find(SUBJECT, IDS)
    assert path.read_bytes() == before
    assert files.erase(SUBJECT, IDS) == found
    assert ids_left(path) == left
    assert (path.read_bytes() == before) == (len(left) == 3)
    assert files.runs_of(found) == (set() if len(left) == 3 else {"r1"})


def test_holdout_is_of_the_model_of_its_run(tmp_path: Path) -> None:
    put_run(tmp_path, "r1", "trains")
    holdout = tmp_path / "evaluations" / "r1" / "holdout.parquet"
    holdout.parent.mkdir(parents=True)
    pq.write_table(pa.table({"customer": [CANARY]}), holdout)
    files = RunFiles(tmp_path, {"loans": frozenset({"customer"})}, is_limited=True)
    assert files.find(SUBJECT, IDS) == []


def test_run_that_takes_a_snapshot_is_named_and_one_that_died_is_not(tmp_path: Path) -> None:
    files = RunFiles(tmp_path, {}, is_limited=False)
    assert files.wait_for_snapshots(0) == []
    rows = tmp_path / "runs" / "r1" / ".snapshot" / "known.parquet"
    rows.parent.mkdir(parents=True)
    rows.write_bytes(b"")
    assert files.wait_for_snapshots(0) == ["r1"]
    for path in (rows, rows.parent):
        os.utime(path, (1e9, 1e9))
    assert files.wait_for_snapshots(0) == []
