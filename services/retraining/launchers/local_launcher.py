"""The launcher for this machine: kills the orphans of a killed service, then runs the training process within its limits."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event

from services.retraining.launchers.training_places import TrainingPlaces
from services.retraining.launchers.training_user import lent_to
from shared.models.training.confinement import UNCONFINED, Confinement, TrainingUser
from shared.models.training.training_process import OUT_VARIABLE, RUN_VARIABLE, TrainingJob, run_training


class LocalLauncher:
    """Runs jobs on this machine. `niceness` lowers their priority in favour of serving."""

    def __init__(
        self,
        *,
        niceness: int = 5,
        ceiling: Confinement = UNCONFINED,
        user: TrainingUser | None = None,
        hidden: Sequence[Path] = (),
        places: TrainingPlaces | None = None,
    ) -> None:
        """`ceiling`: limits of all jobs, whatever their model project asks for. `user` runs them, if this is root.

        `places`: gives each job its memory limit, if several share the machine.

        `hidden`: folders with holdouts, the lake and versions. A job reads nothing there but its run's and its project's folder.
        """
        self._niceness = niceness
        self._ceiling = ceiling
        self._user = user
        self._hidden = tuple(hidden)
        self._places = places

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Kill the run's orphans, then run the command to its end; raises what `run_training` raises."""
        self.end_orphans(job)
        limits = job.confinement
        if self._places is not None:
            limits = replace(limits, memory_bytes=self._places.memory_of(limits.memory_bytes))
        limits = limits.within(self._ceiling)
        if self._hidden:
            limits = limits.hiding(self._hidden, (job.attempts.parent, job.directory))
        job = replace(job, confinement=limits)
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
