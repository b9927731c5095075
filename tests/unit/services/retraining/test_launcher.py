"""Training commands as processes: bounded, ended whole, told about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from threading import Event, Timer

import pytest

from services.retraining.launchers.process import MARK, Interrupted, ProcessLauncher, TrainingJob
from shared.errors import OperatorError, TrainingFailed
from tests.fakes.retraining_service import wait_for


def job(tmp_path: Path, script: str, *, limit: float = 20, run_id: str = "") -> TrainingJob:
    run = run_id or f"run-{tmp_path.name}"
    log = tmp_path / "log" / "train.log"
    return TrainingJob(
        run, ("python", "-c", script), tmp_path, {"GIVEN": "yes"}, log, timedelta(seconds=limit)
    )


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_command_gets_its_environment_folder_and_log(tmp_path: Path) -> None:
    script = "import os; print(os.environ['GIVEN'], os.environ['DO_NOT_TRACK'], os.getcwd(), os.nice(0))"
    asked = job(tmp_path, script)
    ProcessLauncher(niceness=7).train(asked, Event())
    given, untracked, directory, niceness = asked.log.read_text().split()
    assert (given, untracked, Path(directory)) == ("yes", "1", tmp_path)
    assert int(niceness) >= 0


def test_python_means_the_services_own(tmp_path: Path) -> None:
    asked = job(tmp_path, "import sys; print(sys.prefix)")
    ProcessLauncher().train(asked, Event())
    assert asked.log.read_text().strip() == sys.prefix


def test_a_failure_is_told_with_the_last_lines(tmp_path: Path) -> None:
    script = "import sys\nfor n in range(50): print('line', n)\nsys.exit(3)"
    with pytest.raises(TrainingFailed) as failed:
        ProcessLauncher().train(job(tmp_path, script), Event())
    assert "ended with exit code 3" in failed.value.message
    assert failed.value.message.endswith("line 49")
    assert "line 30" not in failed.value.message
    assert str(tmp_path) in failed.value.hint


def test_a_command_ended_by_a_signal_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match="ended by signal 9; it printed nothing"):
        ProcessLauncher().train(job(tmp_path, "import os; os.kill(os.getpid(), 9)"), Event())


def test_a_hanging_command_is_ended_with_all_its_children(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    asked = job(tmp_path, script, limit=1.5)
    started = time.monotonic()
    with pytest.raises(TrainingFailed, match="ran longer than 1.5 s and was ended"):
        ProcessLauncher().train(asked, Event())
    assert time.monotonic() - started < 10
    child = int(asked.log.read_text().split()[0])
    wait_for(lambda: not alive(child), 5, "the child to be gone")


def test_children_left_behind_by_a_good_command_are_ended(tmp_path: Path) -> None:
    script = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"
    asked = job(tmp_path, script)
    ProcessLauncher().train(asked, Event())
    child = int(asked.log.read_text())
    wait_for(lambda: not alive(child), 5, "the child to be gone")


def test_a_stopping_service_ends_its_training(tmp_path: Path) -> None:
    stop = Event()
    Timer(0.5, stop.set).start()
    with pytest.raises(Interrupted):
        ProcessLauncher().train(job(tmp_path, "import time; time.sleep(60)"), stop)


def test_a_command_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    asked = job(tmp_path, "")
    nowhere = TrainingJob("r", ("no-such-program",), tmp_path, {}, asked.log, asked.time_limit)
    with pytest.raises(TrainingFailed, match="'no-such-program' cannot be started in .*: No such file"):
        ProcessLauncher().train(nowhere, Event())


def test_a_log_that_cannot_be_written_is_the_operators(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    with pytest.raises(OperatorError, match="cannot be written"):
        ProcessLauncher().train(job(tmp_path, ""), Event())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="orphans are found through /proc")
def test_what_a_killed_service_left_of_a_run_is_ended_before_the_next_attempt(tmp_path: Path) -> None:
    orphan = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, MARK: f"run-{tmp_path.name}"},
        start_new_session=True,
    )
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env={**os.environ, MARK: "run-other"}
    )
    try:
        wait_for(
            lambda: MARK.encode() in Path(f"/proc/{orphan.pid}/environ").read_bytes(),
            5,
            "the orphan to start",
        )
        ProcessLauncher().train(job(tmp_path, "print('begun again')"), Event())
        assert orphan.wait(timeout=5) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for process in (orphan, other):
            process.kill()
            process.wait()
