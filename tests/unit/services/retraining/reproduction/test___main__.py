"""The process behind `homeostat reproduce`: from the stores of an installation to one result."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from services.retraining.ledger.records import Run
from services.retraining.reproduction.__main__ import answer
from services.retraining.reproduction.made_again import MadeAgain
from services.retraining.reproduction.request import ReproductionRequest
from services.retraining.reproduction.trained_again import TrainedAgain
from services.retraining.settings import RetrainingSettings
from shared.errors import ProjectError, TrainingFailed
from tests.unit.services.retraining.runs.test_pipeline import Setup


def test_rows_are_written_and_the_project_trains_on_them(promoted: tuple[Setup, Run], tmp_path: Path) -> None:
    setup, run = promoted
    request = ReproductionRequest(version=run.version[:8], train=True, into=tmp_path / "rows")
    found = answer(request, setup.installation.settings, RetrainingSettings(), tmp_path / "work")
    assert found["equal"]
    assert pq.read_metadata(tmp_path / "rows" / "train.parquet").num_rows == found["train_rows"]
    trained = found["trained"]
    # The version was handed out by a fake launcher; the project's own command gives another model.
    assert not trained["model_equal"]
    assert trained["metrics"]["rows"] == {"then": None, "now": float(found["train_rows"])}


def train_with(setup: Setup, run: Run, folder: Path, script: str, **settings: object) -> None:
    """The project's command is this script while the version is trained again."""
    program = setup.installation.project / "train.py"
    before = program.read_text()
    program.write_text(script)
    try:
        request = ReproductionRequest(version=run.version, train=True, into=None)
        answer(request, setup.installation.settings, RetrainingSettings(**settings), folder)  # type: ignore[arg-type]
    finally:
        program.write_text(before)


def test_limits_of_the_installation_hold(promoted: tuple[Setup, Run], tmp_path: Path) -> None:
    script = "print(len(bytearray(600 << 20)))"
    with pytest.raises(TrainingFailed, match="its limit of 256 MiB"):
        train_with(*promoted, tmp_path / "work", script, training_memory_bytes=256 << 20)


def test_holdout_that_was_made_again_is_hidden(promoted: tuple[Setup, Run], tmp_path: Path) -> None:
    script = f"import pathlib; print([one.read_bytes()[:1] for one in pathlib.Path({str(tmp_path)!r}).rglob('holdout*')])"
    with pytest.raises(TrainingFailed, match="PermissionError"):
        train_with(*promoted, tmp_path / "work", script)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of other users")
@pytest.mark.parametrize(("user", "passes"), [("nobody", True), ("", False)])
def test_user_of_trainings_passes_through_the_temporary_folder(
    promoted: tuple[Setup, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str, passes: bool
) -> None:
    """Only root may enter a temporary folder; the user of trainings needs a file below it, and must not see the holdout there."""
    setup, run = promoted
    work = tmp_path / "work"
    work.mkdir(mode=0o700)
    seen: list[tuple[int, int]] = []

    def trained(made: MadeAgain, *, folder: Path, **_: object) -> TrainedAgain:
        seen.append((work.stat().st_mode & 0o077, made.train.parent.stat().st_mode & 0o077))
        assert folder.parent == work
        return TrainedAgain(True, 0.0, {})

    monkeypatch.setattr("services.retraining.reproduction.__main__.train_again", trained)
    previous = os.umask(0o077)  # as of the process
    try:
        train_with(setup, run, work, "", training_user=user)
    finally:
        os.umask(previous)
    assert seen == [(0o011 if passes else 0, 0)]


def test_folder_that_others_can_write_to_runs_nothing(promoted: tuple[Setup, Run], tmp_path: Path) -> None:
    setup, run = promoted
    setup.installation.project.chmod(0o777)
    try:
        with pytest.raises(ProjectError, match="is not safe"):
            train_with(setup, run, tmp_path / "work", "print('ran')")
    finally:
        setup.installation.project.chmod(0o755)
