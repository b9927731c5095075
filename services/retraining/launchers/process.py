"""Running a training command as a process group of its own: bounded in time, ended whole, never left behind."""

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

MARK = "HOMEOSTAT_RUN"
_LAST_LINES = 12
_LOOK_SECONDS = 0.05


class Interrupted(BaseException):
    """The service is stopping; the step is begun again after the next start.

    No Exception: it must pass through everything that would record it as the end of the run.
    """


@dataclass(frozen=True)
class TrainingJob:
    """One training to run. `environment` is added to the service's own; `log` receives both output streams."""

    run_id: str
    command: tuple[str, ...]
    directory: Path
    environment: Mapping[str, str]
    log: Path
    time_limit: timedelta


class ProcessLauncher:
    """Runs jobs here. `niceness` lowers their priority, so that serving on the same machine comes first."""

    def __init__(self, *, niceness: int = 5) -> None:
        self._niceness = niceness

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Run the command to its end.

        1. end whatever a killed service left of this run   2. start in a group of its own   3. wait, within the time limit
        4. end the group, also what the command left behind

        Raises TrainingFailed (with the log's last lines), OperatorError (the disk refuses the log), Interrupted (`stop` was set).
        """
        self.end_orphans(job.run_id)
        process = self._start(job)
        deadline = time.monotonic() + job.time_limit.total_seconds()
        try:
            while True:
                try:
                    code = process.wait(timeout=_LOOK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if stop.is_set():
                        raise Interrupted(job.run_id) from None
                    if time.monotonic() > deadline:
                        limit = f"{job.time_limit.total_seconds():g} s"
                        raise TrainingFailed(
                            f"the training command ran longer than {limit} and was ended{_told(job.log)}",
                            hint="make it faster, or raise retraining.time_limit",
                        ) from None
        finally:
            _end_group(process)
        if code != 0:
            ending = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise TrainingFailed(
                f"the training command {ending}{_told(job.log)}",
                hint=f"run it by hand in {job.directory}, then ask again",
            )

    def end_orphans(self, run_id: str) -> int:
        """End processes of this run that a killed service left behind; how many there were.

        Linux tells a process's environment in /proc. Elsewhere orphans run on, harmless: a new attempt has a folder of its own.
        """
        mark = f"{MARK}={run_id}".encode()
        ended = 0
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in entry.read_bytes().split(b"\0") and int(entry.parent.name) != os.getpid():
                    os.kill(int(entry.parent.name), signal.SIGKILL)
                    ended += 1
        return ended

    def _start(self, job: TrainingJob) -> subprocess.Popen[bytes]:
        # `python` in loop.yaml means the Python this service runs on, whatever the shell's PATH says.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        environment = {**os.environ, "DO_NOT_TRACK": "1", "PATH": path, **job.environment, MARK: job.run_id}
        try:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            log = job.log.open("wb")
        except OSError as error:
            raise OperatorError(
                f"{job.log} cannot be written: {error.strerror}", hint="free the disk"
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
        with suppress(OSError):
            os.setpriority(os.PRIO_PGRP, process.pid, self._niceness)
        return process


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _told(log: Path) -> str:
    try:
        lines = log.read_bytes()[-8192:].decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return ""
    return "; its last lines:\n" + "\n".join(lines) if lines else "; it printed nothing"
