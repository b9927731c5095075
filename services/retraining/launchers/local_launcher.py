"""The launcher for this machine: kills the orphans of a killed service, then runs the training process within its limits."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event

from services.retraining.launchers.training_user import lent_to
from shared.models.training.confinement import UNCONFINED, Confinement, TrainingUser
from shared.models.training.training_process import OUT_VARIABLE, RUN_VARIABLE, TrainingJob, run_training


class LocalLauncher:
    """Runs jobs on this machine. `niceness` lowers their priority in favour of serving."""

    def __init__(
        self, *, niceness: int = 5, ceiling: Confinement = UNCONFINED, user: TrainingUser | None = None
    ) -> None:
        """`ceiling`: limits of all jobs, whatever their model project asks for. `user` runs them, if this is root."""
        self._niceness = niceness
        self._ceiling = ceiling
        self._user = user

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Kill the run's orphans, then run the command to its end; raises what `run_training` raises."""
        self.end_orphans(job)
        job = replace(job, confinement=job.confinement.within(self._ceiling))
        try:
            with nullcontext(job) if self._user is None else lent_to(self._user, job) as confined:
                run_training(confined, niceness=self._niceness, stop=stop)
        finally:
            self.end_orphans(job)  # processes that left the group of the command

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
