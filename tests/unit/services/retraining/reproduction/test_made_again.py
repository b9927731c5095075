"""The rows of any version that a run has made, made again byte by byte; and what is said where that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable
from sqlalchemy import delete

from services.retraining.ledger.engine import writing
from services.retraining.ledger.records import Run
from services.retraining.ledger.tables import snapshot_marks
from services.retraining.reproduction.made_again import find_version, make_again
from services.retraining.runs.workspace import RunFolder
from shared.errors import NotFound
from tests.unit.services.retraining.runs.test_pipeline import Setup


def test_rows_of_a_run_are_the_same_after_vacuum(promoted: tuple[Setup, Run], tmp_path: Path) -> None:
    setup, run = promoted
    manifest = find_version(setup.deps.store, run.version[:10])
    made = make_again(setup.deps.lake, setup.ledger, manifest, tmp_path)
    assert made.is_equal
    assert run.snapshot is not None
    assert (made.train_rows, made.holdout_rows) == (run.snapshot["train_rows"], run.snapshot["holdout_rows"])
    assert made.train.read_bytes() == RunFolder(setup.deps.runs / run.run_id).train.read_bytes()
    assert made.to_json()["equal"] is True


def test_erased_rows_are_noticed(promoted: tuple[Setup, Run], tmp_path: Path) -> None:
    setup, run = promoted
    manifest = find_version(setup.deps.store, run.version)
    location = setup.deps.lake.predictions(run.model)
    before = DeltaTable(location).version()
    DeltaTable(location).delete("prediction_id = 'p7-000100'")
    made = make_again(setup.deps.lake, setup.ledger, manifest, tmp_path)
    DeltaTable(location).restore(before)
    assert not made.is_equal
    assert made.train_rows == run.snapshot["train_rows"] - 1  # type: ignore[index]


def test_version_of_no_run_and_run_without_marks_are_named(
    promoted: tuple[Setup, Run], tmp_path: Path
) -> None:
    setup, run = promoted
    with pytest.raises(NotFound, match="there is no version ffffffff"):
        find_version(setup.deps.store, "ffffffff")
    poor = find_version(setup.deps.store, run.champion)
    with pytest.raises(NotFound, match="was trained elsewhere"):
        make_again(setup.deps.lake, setup.ledger, poor, tmp_path / "poor")
    stored = setup.ledger.snapshot_marks.find(run.run_id)
    assert stored is not None
    with writing(setup.ledger._engine) as connection:
        connection.execute(delete(snapshot_marks))
    with pytest.raises(NotFound, match="did not record how far its rows were stored"):
        make_again(
            setup.deps.lake, setup.ledger, find_version(setup.deps.store, run.version), tmp_path / "old"
        )
    setup.ledger.snapshot_marks.record(run.run_id, stored)
