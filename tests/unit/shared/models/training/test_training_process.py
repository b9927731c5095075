"""The training command: its environment, its limits and its output files."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event, Timer

import pytest

from shared.errors import OperatorError, TrainingFailed
from shared.models.training.training_process import (
    INHERITED,
    TRAINING_VARIABLES,
    Interrupted,
    TrainingJob,
    run_training,
    training_environment,
)
from tests.waiting import bound, time_factor

CHILD = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"


def job(tmp_path: Path, script: str, *, limit: float = 20) -> TrainingJob:
    return TrainingJob(
        run_id="run-1",
        command=("python", "-c", script),
        directory=tmp_path,
        environment=training_environment(train=tmp_path / "train.parquet", out=tmp_path / "out"),
        log=tmp_path / "log" / "train.log",
        time_limit=timedelta(seconds=limit),
    )


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10 * time_factor()
    while not condition():
        assert time.monotonic() < ends, "the child of the training command still runs"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_command_gets_its_environment_and_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_HOLDOUT", "/somewhere/holdout.parquet")
    names = "('HOMEOSTAT_' + n for n in ('TRAIN', 'HOLDOUT', 'CHAMPION', 'OUT', 'RUN'))"
    asked = job(
        tmp_path, f"import os; print(*(os.environ.get(n, 'unset') for n in {names}), os.getcwd(), sep='|')"
    )
    run_training(asked)
    train, holdout, champion, out, run_id, directory = asked.log.read_text().strip().split("|")
    assert (train, out) == (str(tmp_path / "train.parquet"), str(tmp_path / "out"))
    assert (holdout, champion, run_id, directory) == ("unset", "", "run-1", str(tmp_path))


def test_command_gets_no_secret_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "HOMEOSTAT_GRAFANA_PASSWORD": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "HOMEOSTAT_NEXT": "c",
        "PGPASSWORD": "d",
    }
    for name, value in {**secrets, "TZ": "UTC", "WANDB_MODE": "offline"}.items():
        monkeypatch.setenv(name, value)
    given = job(tmp_path, "import json, os; print(json.dumps(dict(os.environ)))")
    environment = training_environment(
        train=tmp_path / "train.parquet", out=tmp_path / "out", passed=("WANDB_MODE", "NOT_SET")
    )
    run_training(replace(given, environment=environment))
    received = json.loads(given.log.read_text())
    assert not secrets.keys() & received.keys()
    assert (received["TZ"], received["WANDB_MODE"]) == ("UTC", "offline")
    ours = {*INHERITED, *TRAINING_VARIABLES, "HOMEOSTAT_RUN", "DO_NOT_TRACK", "WANDB_MODE"}
    # Python sets LC_CTYPE for itself, and macOS its encoding.
    assert received.keys() - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"} <= ours


def test_python_is_the_one_homeostat_runs_on(tmp_path: Path) -> None:
    asked = job(tmp_path, "import sys; print(sys.prefix)")
    run_training(asked)
    assert asked.log.read_text().strip() == sys.prefix


def test_niceness_lowers_the_priority(tmp_path: Path) -> None:
    asked = job(tmp_path, "import os, time; time.sleep(0.5); print(os.nice(0))")
    run_training(asked, niceness=os.nice(0) + 3)
    assert int(asked.log.read_text()) == os.nice(0) + 3


def test_failure_quotes_the_last_lines(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed) as failed:
        run_training(job(tmp_path, "import sys\nfor n in range(50): print('line', n)\nsys.exit(3)"))
    assert "failed with exit code 3" in failed.value.message
    assert failed.value.message.endswith("line 49")
    assert "line 30" not in failed.value.message
    assert str(tmp_path) in failed.value.hint


def test_signal_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingFailed, match="killed by signal 9, which Linux sends if memory is short; it printed nothing"
    ):
        run_training(job(tmp_path, "import os; os.kill(os.getpid(), 9)"))


def test_time_limit_kills_the_command_and_its_children(tmp_path: Path) -> None:
    asked = job(tmp_path, CHILD + "import time; print(child.pid, flush=True); time.sleep(60)", limit=1.5)
    started = time.monotonic()
    with pytest.raises(TrainingFailed, match="exceeded its time limit of 1.5 s and was killed"):
        run_training(asked)
    assert time.monotonic() - started < bound(30)
    child = int(asked.log.read_text().split()[0])
    wait_for(lambda: is_gone(child))


def test_children_left_behind_are_killed(tmp_path: Path) -> None:
    asked = job(tmp_path, CHILD + "print(child.pid)")
    run_training(asked)
    child = int(asked.log.read_text())
    wait_for(lambda: is_gone(child))


def test_stop_interrupts_the_command(tmp_path: Path) -> None:
    stop = Event()
    Timer(0.3, stop.set).start()
    with pytest.raises(Interrupted):
        run_training(job(tmp_path, "import time; time.sleep(60)"), stop=stop)


def test_unknown_program_is_named(tmp_path: Path) -> None:
    asked = TrainingJob("r", ("no-such-program",), tmp_path, {}, tmp_path / "log", timedelta(seconds=9))
    with pytest.raises(TrainingFailed, match="'no-such-program' cannot be started in .*: No such file"):
        run_training(asked)


def test_unwritable_log_is_an_operator_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where a folder is needed")
    with pytest.raises(OperatorError, match="cannot be written"):
        run_training(job(tmp_path, ""))


def test_only_the_end_of_a_large_log_is_read(tmp_path: Path) -> None:
    script = "import os, sys; os.truncate(sys.stdout.fileno(), 3 << 30); os.lseek(1, 0, 2); print('the end'); sys.exit(1)"
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TrainingFailed, match="the end"):
        run_training(job(tmp_path, script))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begun < 500_000, "kilobytes"
