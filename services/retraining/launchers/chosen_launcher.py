"""The launcher that `training.launcher` of loop.yaml names."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event

from services.retraining.launchers.launcher import Launcher
from shared.contracts.retraining_spec import LauncherName
from shared.errors import TrainingFailed
from shared.models.training.training_process import TrainingJob

# The setting that makes a launcher known, for the message where it is not.
SETTINGS: Mapping[LauncherName, str] = {
    "dask": "HOMEOSTAT_RETRAINING_DASK",
    "kubernetes": "HOMEOSTAT_RETRAINING_KUBERNETES_IMAGE",
}


class ChosenLauncher:
    """Gives each job to its launcher."""

    def __init__(self, launchers: Mapping[LauncherName, Launcher]) -> None:
        self.launchers = launchers

    def train(self, job: TrainingJob, stop: Event) -> None:
        """See Launcher. Raises TrainingFailed if this service has no such launcher."""
        launcher = self.launchers.get(job.launcher)
        if launcher is None:
            raise TrainingFailed(
                f"training.launcher is {job.launcher}, and this service has no such launcher",
                hint=f"set {SETTINGS[job.launcher]} of retraining, or remove training.launcher from loop.yaml",
            )
        launcher.train(job, stop)
