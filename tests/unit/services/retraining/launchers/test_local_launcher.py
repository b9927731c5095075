"""The process launcher: low priority, and no orphans. What a command may do is tested with `run_training`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from services.retraining.launchers.local_launcher import LocalLauncher
from services.retraining.launchers.training_places import TrainingPlaces
from shared.errors import TrainingFailed
from shared.models.training.training_process import OUT_VARIABLE, RUN_VARIABLE, TrainingJob
from tests.fakes.retraining_service import wait_for
from tests.waiting import bound


def has_started(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has its own environment: before exec, /proc shows this process's."""
    return RUN_VARIABLE.encode() in Path(f"/proc/{process.pid}/environ").read_bytes()


def job(tmp_path: Path, script: str, *, limit: float = 20, run_id: str = "") -> TrainingJob:
    run = run_id or f"run-{tmp_path.name}"
    log = tmp_path / "log" / "train.log"
    environment = {"GIVEN": "yes", OUT_VARIABLE: str(tmp_path / "attempts" / "2" / "out")}
    return TrainingJob(run, ("python", "-c", script), tmp_path, environment, log, timedelta(seconds=limit))


def sleeper(run_id: str, out: Path) -> subprocess.Popen[bytes]:
    """A training that a killed service left behind."""
    return subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, RUN_VARIABLE: run_id, OUT_VARIABLE: str(out)},
        start_new_session=True,
    )


def test_command_gets_environment_folder_and_log(tmp_path: Path) -> None:
    script = "import os; print(os.environ['GIVEN'], os.environ['DO_NOT_TRACK'], os.getcwd(), os.nice(0))"
    asked = job(tmp_path, script)
    LocalLauncher(niceness=7).train(asked, Event())
    given, untracked, directory, niceness = asked.log.read_text().split()
    assert (given, untracked, Path(directory)) == ("yes", "1", tmp_path)
    assert int(niceness) >= 0


def test_trainings_that_share_memory_get_a_part_each(tmp_path: Path) -> None:
    launcher = LocalLauncher(places=TrainingPlaces(2, memory_bytes=1 << 30))
    launcher.train(job(tmp_path, "print(len(bytearray(200 << 20)))"), Event())
    with pytest.raises(TrainingFailed, match="memory"):
        launcher.train(job(tmp_path, "print(len(bytearray(700 << 20)))"), Event())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="orphans are found through /proc")
def test_orphans_are_killed_before_the_next_attempt(tmp_path: Path) -> None:
    run, first = f"run-{tmp_path.name}", Path("attempts", "1", "out")
    orphan = sleeper(run, tmp_path / first)
    others = [
        sleeper("run-other", tmp_path / first),
        # A second installation's run of the same cause has the same id.
        sleeper(run, tmp_path / "elsewhere" / first),
    ]
    try:
        for process in (orphan, *others):
            wait_for(partial(has_started, process), 5, "the orphan to start")
        LocalLauncher().train(job(tmp_path, "print('begun again')"), Event())
        assert orphan.wait(timeout=bound(5)) == -signal.SIGKILL
        assert [other.poll() for other in others] == [None, None]
    finally:
        for process in (orphan, *others):
            process.kill()
            process.wait()
