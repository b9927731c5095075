"""Each job goes to the launcher that its model names."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from services.retraining.launchers.chosen_launcher import ChosenLauncher
from shared.contracts.retraining_spec import LauncherName
from shared.errors import TrainingFailed
from shared.models.training.training_process import TrainingJob


class Remembering:
    def __init__(self) -> None:
        self.jobs: list[TrainingJob] = []

    def train(self, job: TrainingJob, stop: Event) -> None:
        self.jobs.append(job)


def job(launcher: LauncherName) -> TrainingJob:
    return TrainingJob("run-1", ("x",), Path(), {}, Path("log"), timedelta(1), launcher=launcher)


def test_job_goes_to_the_launcher_that_it_names() -> None:
    process, dask = Remembering(), Remembering()
    chosen = ChosenLauncher({"process": process, "dask": dask})
    for launcher in ("process", "dask"):
        chosen.train(job(launcher), Event())
    assert [one.launcher for one in (*process.jobs, *dask.jobs)] == ["process", "dask"]
    assert len(process.jobs) == 1


def test_unknown_launcher_names_its_setting() -> None:
    with pytest.raises(TrainingFailed, match="training.launcher is kubernetes") as found:
        ChosenLauncher({"process": Remembering()}).train(job("kubernetes"), Event())
    assert "HOMEOSTAT_RETRAINING_KUBERNETES_IMAGE" in found.value.hint
