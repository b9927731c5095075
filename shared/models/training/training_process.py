"""Runs a model project's training command: one process group, a time limit and a log.

`homeostat deploy` and the retraining service both use it, so a command that works in one works in the other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event

from shared.errors import OperatorError, TrainingFailed
from shared.files import open_regular

RUN_VARIABLE = "HOMEOSTAT_RUN"
OUT_VARIABLE = "HOMEOSTAT_OUT"
TRAINING_VARIABLES = ("HOMEOSTAT_TRAIN", "HOMEOSTAT_CHAMPION", OUT_VARIABLE)
# What a training command gets of this process's environment: no password, token or address of a service is among them.
INHERITED = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("PYTHONPATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"),
)
_LAST_LINES = 12
_LAST_BYTES = 8192
_POLL_SECONDS = 0.05


class Interrupted(BaseException):
    """The service is stopping; the training starts again after the next start of the service.

    Not an `Exception`: it must pass through handlers that would record it as the end of the run.
    """


@dataclass(frozen=True)
class TrainingJob:
    """One training to run. `environment` is added to the INHERITED variables; `log` receives both output streams."""

    run_id: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    log: Path
    time_limit: timedelta

    @property
    def attempts(self) -> Path:
        """The folder of all attempts of this run: its own output folder is `<attempts>/<number>/out`."""
        return Path(self.environment[OUT_VARIABLE]).parent.parent


def training_environment(
    *, train: Path, out: Path, champion: Path | None = None, passed: tuple[str, ...] = ()
) -> dict[str, str]:
    """The variables a training command reads. The holdout is not among them: only the gate reads it.

    `passed`: variables of this process that `retraining.environment` in loop.yaml names; those that are not set are left out.
    """
    return {
        **{name: os.environ[name] for name in passed if name in os.environ},
        "HOMEOSTAT_TRAIN": str(train.absolute()),
        "HOMEOSTAT_CHAMPION": str(champion.absolute()) if champion is not None else "",
        OUT_VARIABLE: str(out.absolute()),
    }


def run_training(job: TrainingJob, *, niceness: int = 0, stop: Event | None = None) -> None:
    """Run the command to its end.

    1. Start it in a process group of its own.   2. Wait for it, within the time limit, until `stop` is set.
    3. Kill the group, including processes the command left behind.

    Raises `TrainingFailed` with the log's last lines, `OperatorError` if the log cannot be written, `Interrupted` on `stop`.
    """
    process = _start(job, niceness)
    deadline = time.monotonic() + job.time_limit.total_seconds()
    try:
        while True:
            try:
                code = process.wait(timeout=_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if stop is not None and stop.is_set():
                    raise Interrupted(job.run_id) from None
                if time.monotonic() > deadline:
                    limit = f"{job.time_limit.total_seconds():g} s"
                    raise TrainingFailed(
                        f"the training command exceeded its time limit of {limit} and was killed{_last_lines(job.log)}",
                        hint="make it faster, or raise retraining.time_limit in loop.yaml",
                    ) from None
    finally:
        _kill_group(process)
    if code != 0:
        ending = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
        raise TrainingFailed(
            f"the training command {ending}{_last_lines(job.log)}",
            hint=f"fix the project and run the command by hand in {job.directory}; its log is {job.log}",
        )


def _start(job: TrainingJob, niceness: int) -> subprocess.Popen[bytes]:
    # `python` in loop.yaml means the Python Homeostat runs on, also when its environment is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment = {
        **inherited,
        "DO_NOT_TRACK": "1",
        "PATH": path,
        **job.environment,
        RUN_VARIABLE: job.run_id,
    }
    try:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        log = job.log.open("wb")
    except OSError as error:
        raise OperatorError(
            f"{job.log} cannot be written: {error.strerror}",
            hint="check the disk's free space and the folder's owner",
        ) from error
    with log:
        try:
            process = subprocess.Popen(
                job.command,
                cwd=job.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise TrainingFailed(
                f"the training command {job.command[0]!r} cannot be started in {job.directory}: {error.strerror}",
                hint="check retraining.command in loop.yaml and the project's folder",
            ) from error
    if niceness:
        with suppress(OSError):
            os.setpriority(os.PRIO_PGRP, process.pid, niceness)
    return process


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_lines(log: Path) -> str:
    try:
        with open_regular(log) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_BYTES))
            lines = file.read(_LAST_BYTES).decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return ""
    return "; its last lines:\n" + "\n".join(lines) if lines else "; it printed nothing"
