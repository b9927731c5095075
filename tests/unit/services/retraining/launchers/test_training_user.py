"""A training command of another user, in a real home: it reads its rows and writes its output, and reaches nothing else."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from services.retraining.launchers.local_launcher import LocalLauncher
from services.retraining.launchers.training_user import find_training_user
from services.retraining.runs.workspace import RunFolder
from shared.errors import OperatorError, TrainingFailed
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.models.training.training_process import OUT_VARIABLE, TrainingJob, training_environment
from tests.fakes.retraining_service import wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts processes of other users")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home as a service makes it, in a folder that other users can enter: those of pytest belong to its user alone."""
    place = Path(tempfile.mkdtemp(prefix="homeostat-test-"))
    place.chmod(0o711)
    before = os.umask(0o077)
    try:
        home = place / "home"
        ensure_keys(home)
        folder = RunFolder(home / "runs" / "run-k")
        for path in (
            folder.train,
            folder.holdout,
            folder.champion_for_training / "model.onnx",
            home / "lake" / "rows",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("some rows")
        (home / "ledger.sqlite").write_text("a ledger")
        (folder.attempt(1) / "out").mkdir(parents=True)
        (folder.attempt(1) / "out" / "model.onnx").write_text("of an attempt before")
        folder.attempt(1).chmod(0o700)
        (folder.attempt(2) / "out").mkdir(parents=True)
        project = place / "project"
        project.mkdir()
        project.chmod(0o755)
        yield home
    finally:
        os.umask(before)
        shutil.rmtree(place)


def job(home: Path, script: str) -> TrainingJob:
    folder = RunFolder(home / "runs" / "run-k")
    out = folder.attempt(2) / "out"
    environment = training_environment(train=folder.train, out=out, champion=folder.champion_for_training)
    return TrainingJob(
        "run-k",
        ("sh", "-c", script),
        home.parent / "project",
        environment,
        out.parent / "train.log",
        timedelta(seconds=20),
    )


def run(home: Path, script: str) -> str:
    asked = job(home, script)
    LocalLauncher(user=find_training_user("nobody")).train(asked, Event())
    return asked.log.read_text().strip()


@needs_root
def test_command_has_its_rows_the_champion_and_an_output_folder(home: Path) -> None:
    script = "id -un; cat $HOMEOSTAT_TRAIN $HOMEOSTAT_CHAMPION/model.onnx; echo new > $HOMEOSTAT_OUT/model.onnx; id -un"
    assert run(home, script) == "nobody\nsome rowssome rowsnobody"
    out = Path(job(home, "").environment[OUT_VARIABLE])
    assert (out / "model.onnx").read_text() == "new\n"
    assert (out.stat().st_uid, stat.S_IMODE(out.stat().st_mode)) == (0, 0o700), "taken back"


@needs_root
def test_command_reads_no_keys_no_holdout_and_no_other_file_of_the_home(home: Path) -> None:
    folder = RunFolder(home / "runs" / "run-k")
    places = [
        *(home / "keys").iterdir(),
        *(
            home / "keys",
            home / "ledger.sqlite",
            home / "lake",
            home / "lake" / "rows",
            folder.holdout,
            home,
            home / "runs",
        ),
        folder.attempt(1) / "out" / "model.onnx",
    ]
    tries = "; ".join(
        f"cat {path} 2>/dev/null || ls {path}/ 2>/dev/null && echo reached {path}" for path in places
    )
    assert run(home, f"{tries}; echo end") == "end"
    for path in places:  # they are there
        assert path.exists()


@needs_root
def test_command_changes_no_row_and_no_file_of_the_run(home: Path) -> None:
    root = job(home, "").attempts.parent
    tries = [
        "echo other > $HOMEOSTAT_TRAIN",
        "rm $HOMEOSTAT_TRAIN",
        "mv $HOMEOSTAT_OUT $HOMEOSTAT_OUT.old",
        f"echo x > {root}/trained.json",
        f"mkdir {root.parent}/run-other",
    ]
    assert (
        run(home, "; ".join(f"{{ {one}; }} 2>/dev/null && echo done: {one}" for one in tries) + "; echo end")
        == "end"
    )


@needs_root
def test_key_that_others_can_read_refuses_the_training(home: Path) -> None:
    (home / "keys").chmod(0o755)
    with pytest.raises(TrainingFailed, match="not started: the user nobody could read .*/keys"):
        run(home, "touch $HOMEOSTAT_OUT/ran")
    assert not (Path(job(home, "").environment[OUT_VARIABLE]) / "ran").exists()


@needs_root
def test_processes_of_the_other_user_that_are_left_behind_are_killed(home: Path) -> None:
    """Also one that left the process group, and one of a killed service."""
    user = find_training_user("nobody")
    script = "setsid sleep 300 & echo $! > $HOMEOSTAT_OUT/pid; sleep 0.5"
    asked = job(home, script)
    LocalLauncher(user=user).train(asked, Event())
    pid = int((Path(asked.environment[OUT_VARIABLE]) / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}/exe").exists(), 10, "the process to end")
    orphan = subprocess.Popen(
        ["sleep", "300"],
        env={**asked.environment, "HOMEOSTAT_RUN": asked.run_id},
        user=user.uid if user else None,
    )
    try:
        wait_for(
            lambda: b"sleep" in Path(f"/proc/{orphan.pid}/cmdline").read_bytes(), 5, "the orphan to start"
        )
        assert LocalLauncher(user=user).end_orphans(asked) == 1
        assert orphan.wait(timeout=10) == -9
    finally:
        orphan.kill()


def test_wrong_user_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_training_user("") is None
    with pytest.raises(OperatorError, match="this system has no user nobody-of-that-name .*useradd"):
        find_training_user("nobody-of-that-name")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(OperatorError, match="root is root"):
        find_training_user("root")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(OperatorError, match="=nobody needs a retraining service that runs as root"):
        find_training_user("nobody")
