"""The launcher for this machine: kills the orphans of a killed service, then starts the training process."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from threading import Event

from shared.models.training.training_process import OUT_VARIABLE, RUN_VARIABLE, TrainingJob, run_training


class LocalLauncher:
    """Runs jobs on this machine. `niceness` lowers their priority in favour of serving."""

    def __init__(self, *, niceness: int = 5) -> None:
        self._niceness = niceness

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Kill the run's orphans, then run the command to its end; raises what `run_training` raises."""
        self.end_orphans(job)
        run_training(job, niceness=self._niceness, stop=stop)

    def end_orphans(self, job: TrainingJob) -> int:
        """Kill processes of this run that a killed service left behind; returns their number.

        A run's id follows from its cause, so two installations on one machine may each have a run of that id:
        an orphan also writes below the same run's folder.
        Linux shows a process's environment in /proc. Elsewhere orphans continue: harmless, as each attempt has its own folder.
        """
        run = f"{RUN_VARIABLE}={job.run_id}".encode()
        attempts = f"{OUT_VARIABLE}={job.attempts}{os.sep}".encode()
        killed = 0
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                environment = entry.read_bytes().split(b"\0")
                mine = run in environment and any(one.startswith(attempts) for one in environment)
                if mine and int(entry.parent.name) != os.getpid():
                    os.kill(int(entry.parent.name), signal.SIGKILL)
                    killed += 1
        return killed
