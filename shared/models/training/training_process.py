"""Runs a model project's training command: one process group, a time limit and a log.

`homeostat deploy` and the retraining service both use it, so a command that works in one works in the other.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from shared.contracts.retraining_spec import LauncherName
from shared.errors import OperatorError, TrainingFailed
from shared.files import open_regular
from shared.models.training.confinement import UNCONFINED, Confinement
from shared.models.training.session_memory import session_memory_bytes

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
_MEMORY_SECONDS = 0.5
_START_SECONDS = 30.0
_SHELL = 128
_WORDS_OF_NO_MEMORY = ("MemoryError", "bad_alloc", "Cannot allocate memory", "DefaultCPUAllocator: ")


class Interrupted(BaseException):
    """The service is stopping; the training starts again after the next start of the service.

    Not an `Exception`: it must pass through handlers that would record it as the end of the run.
    """


class Stop(Protocol):
    """What ends a training early, such as a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether it must end now."""


@dataclass(frozen=True)
class TrainingJob:
    """One training to run. `environment` is added to the INHERITED variables; `log` receives both output streams.

    `time_limit` is of wall time. `launcher`: `training.launcher` of loop.yaml; `resources`: what it asks of a machine, by name.
    """

    run_id: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    log: Path
    time_limit: timedelta
    confinement: Confinement = UNCONFINED
    launcher: LauncherName = "process"
    resources: Mapping[str, float] = field(default_factory=dict)

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


def run_training(job: TrainingJob, *, niceness: int = 0, stop: Stop | None = None) -> None:
    """Run the command to its end.

    1. Start it, confined, in a session of its own.   2. Wait for it, within its limits of time and memory, until `stop` is set.
    3. Kill its process group, including processes the command left behind.

    Raises `TrainingFailed` with the log's last lines, `OperatorError` if the log cannot be written, `Interrupted` on `stop`.
    """
    with _temporary_folder(job.confinement) as temporary:
        _run(job, _start(job, niceness, temporary), stop)


def _run(job: TrainingJob, process: subprocess.Popen[bytes], stop: Stop | None) -> None:
    began = time.monotonic()
    deadline, look_at_memory = began + job.time_limit.total_seconds(), began
    limits = job.confinement
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
                if limits.memory_bytes and time.monotonic() >= look_at_memory:
                    look_at_memory = time.monotonic() + _MEMORY_SECONDS
                    if session_memory_bytes(process.pid, limits.memory_bytes) > limits.memory_bytes:
                        raise _needs_more_memory("used more than", job) from None
    finally:
        _kill_group(process)
    if code != 0:
        raise _failure(job, code)


@contextmanager
def _temporary_folder(confinement: Confinement) -> Iterator[dict[str, str]]:
    """The variable with a folder for temporary files where files are hidden: a command could not read new ones beside those."""
    if not confinement.hidden:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="homeostat-training-", ignore_cleanup_errors=True) as folder:
        if confinement.user is not None:
            os.chown(folder, confinement.user.uid, confinement.user.gid)
        yield {"TMPDIR": folder}


def _start(job: TrainingJob, niceness: int, temporary: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # `python` in loop.yaml means the Python Homeostat runs on, also when its environment is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment = {
        **inherited,
        "DO_NOT_TRACK": "1",
        "PATH": path,
        **temporary,
        **job.environment,
        RUN_VARIABLE: job.run_id,
    }
    if job.confinement.user is not None:
        environment |= {"HOME": job.confinement.user.home, "USER": job.confinement.user.name}
    try:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        log = job.log.open("wb")
    except OSError as error:
        raise OperatorError(
            f"{job.log} cannot be written: {error.strerror}",
            hint="check the disk's free space and the folder's owner",
        ) from error
    reading, report = os.pipe()
    try:
        with log:
            process = subprocess.Popen(
                job.confinement.wrap(job.command, job.directory, report),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[report],
                start_new_session=True,
            )
    except OSError as error:
        os.close(reading)
        raise OperatorError(
            f"no process can be started for the training: {error.strerror}",
            hint="check the limits of processes and memory of retraining",
        ) from error
    finally:
        os.close(report)
    with os.fdopen(reading, "rb") as reported:
        if not select.select([reported], [], [], _START_SECONDS)[0]:
            _kill_group(process)
            raise OperatorError(
                f"the training command did not start within {_START_SECONDS:g} s",
                hint=f"the machine may be overloaded, or {job.directory} on a disk that does not answer",
            )
        problem = job.confinement.problem(reported.read(), job.command[0], job.directory)
    if problem is not None:
        _kill_group(process)
        raise problem
    if niceness:
        with suppress(OSError):
            os.setpriority(os.PRIO_PGRP, process.pid, niceness)
    return process


def _failure(job: TrainingJob, code: int) -> TrainingFailed:
    """What an exit code says, with the limits that may be its cause."""
    limits = job.confinement
    number = (
        -code if code < 0 else code - _SHELL if code > _SHELL else 0
    )  # a shell reports signals of its commands like this
    if number == signal.SIGXCPU and limits.cpu_seconds:
        return TrainingFailed(
            f"the training command used more than {limits.cpu_seconds} s of CPU time and was killed{_last_lines(job.log)}",
            hint="make it faster, or raise training.cpu_time in loop.yaml and HOMEOSTAT_RETRAINING_TRAINING_CPU_SECONDS",
        )
    lines = _last_lines(job.log)
    if limits.memory_bytes and any(words in lines for words in _WORDS_OF_NO_MEMORY):
        return _needs_more_memory("needs more than", job)
    ending = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
    if number == signal.SIGKILL:
        ending += ", which Linux sends if memory is short"
    return TrainingFailed(
        f"the training command {ending}{lines}",
        hint=f"fix the project and run the command by hand in {job.directory}; its log is {job.log}",
    )


def _needs_more_memory(how: str, job: TrainingJob) -> TrainingFailed:
    limit = f"{job.confinement.memory_bytes >> 20} MiB of memory"
    return TrainingFailed(
        f"the training command {how} its limit of {limit} and was ended{_last_lines(job.log)}",
        hint="train on fewer rows, or raise training.memory_mib in loop.yaml and HOMEOSTAT_RETRAINING_TRAINING_MEMORY_BYTES",
    )


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
