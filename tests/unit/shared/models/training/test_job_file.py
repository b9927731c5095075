"""A training job as a file, and its result as another one."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from shared.errors import TrainingFailed
from shared.models.training.job_file import read_result, run_file, write_job
from shared.models.training.training_process import TrainingJob
from tests.waiting import bound, eventually


def job(tmp_path: Path, script: str) -> TrainingJob:
    out = tmp_path / "attempts" / "1" / "out"
    out.mkdir(parents=True)
    environment = {"HOMEOSTAT_OUT": str(out), "GIVEN": "yes"}
    command = ("python", "-c", script)
    return TrainingJob("run-1", command, tmp_path, environment, tmp_path / "train.log", timedelta(seconds=30))


def test_result_of_a_job_is_read_back(tmp_path: Path) -> None:
    write_job(job(tmp_path, "import os; print(os.environ['GIVEN'])"), tmp_path / "job.json")
    assert not read_result(tmp_path / "result.json")
    assert run_file(tmp_path / "job.json", tmp_path / "result.json", Event()) == 0
    assert read_result(tmp_path / "result.json")
    assert (tmp_path / "train.log").read_text() == "yes\n"


def test_failure_is_raised_where_the_result_is_read(tmp_path: Path) -> None:
    write_job(job(tmp_path, "raise SystemExit(4)"), tmp_path / "job.json")
    assert run_file(tmp_path / "job.json", tmp_path / "result.json", Event()) == 1
    with pytest.raises(TrainingFailed, match="exit code 4"):
        read_result(tmp_path / "result.json")


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"[]", b"0", b'"end"', b"[1]", b'{"kind": "TrainingFailed"}', b"\xff", b"x" * (5 << 20)],
)
def test_garbage_in_the_place_of_a_result_fails_the_training(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(garbage)
    with pytest.raises(TrainingFailed, match="is not the result of a training"):
        read_result(path)


def test_variables_of_a_job_are_for_its_owner_only(tmp_path: Path) -> None:
    write_job(job(tmp_path, ""), tmp_path / "job.json")
    assert (tmp_path / "job.json").stat().st_mode & 0o077 == 0


def test_deleted_pod_ends_its_command_without_a_result(tmp_path: Path) -> None:
    write_job(job(tmp_path, "print('begun', flush=True); import time; time.sleep(60)"), tmp_path / "job.json")
    module = (
        "-m",
        "shared.models.training.job_file",
        str(tmp_path / "job.json"),
        str(tmp_path / "result.json"),
    )
    process = subprocess.Popen(
        [sys.executable, *module], cwd=Path(__file__).parents[5], stderr=subprocess.PIPE
    )
    try:
        log = tmp_path / "train.log"
        eventually(lambda: log.is_file() and log.read_text(), "the command to begin")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=bound(10)) != 0
    finally:
        process.kill()
    assert not read_result(tmp_path / "result.json")
