"""Trains a challenger: runs the project's training command and checks its outputs."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from threading import Event

import orjson

from services.retraining.launchers.launcher import Launcher
from services.retraining.runs.workspace import RunFolder, write_json
from shared.contracts.retraining_spec import Training
from shared.errors import TrainingFailed
from shared.files import read_regular
from shared.models.training.confinement import Confinement
from shared.models.training.training_outputs import read_outputs
from shared.models.training.training_process import TrainingJob, training_environment

_MAX_BYTES = 16 << 20


def trained_attempt(folder: RunFolder) -> tuple[int, dict[str, float]] | None:
    """The successful attempt with its metrics; None if there is none."""
    if not folder.trained.is_file():
        return None
    stored = orjson.loads(read_regular(folder.trained, maximum_bytes=_MAX_BYTES))
    return stored["attempt"], stored["metrics"]


def train(
    launcher: Launcher,
    *,
    run_id: str,
    command: tuple[str, ...],
    passed: tuple[str, ...],
    limits: Training | None,
    directory: Path,
    time_limit: timedelta,
    folder: RunFolder,
    attempt: int,
    stop: Event,
) -> dict[str, float]:
    """Find or create the trained model of a run; returns its metrics. `passed`: as in `training_environment`; `limits`:
    `training` of loop.yaml.

    1. keep an attempt that succeeded   2. create an empty folder for a new attempt   3. run the command
    4. check its outputs   5. record the attempt as successful: only now do later steps use it
    """
    done = trained_attempt(folder)
    if done is not None:
        return done[1]
    if not directory.is_dir():
        raise TrainingFailed(
            f"the project folder {directory} does not exist", hint="deploy the model again with its folder"
        )
    attempt_folder = folder.attempt(attempt)
    shutil.rmtree(attempt_folder, ignore_errors=True)
    out = attempt_folder / "out"
    out.mkdir(parents=True)
    environment = training_environment(
        train=folder.train,
        out=out,
        champion=folder.champion_for_training if folder.champion_for_training.is_dir() else None,
        passed=passed,
    )
    job = TrainingJob(
        run_id,
        command,
        directory,
        environment,
        attempt_folder / "train.log",
        time_limit,
        Confinement.of(limits),
        launcher=limits.launcher if limits is not None else "process",
        resources=limits.resources if limits is not None else {},
    )
    launcher.train(job, stop)
    metrics = read_outputs(out)
    write_json(folder.trained, {"attempt": attempt, "metrics": metrics})
    return metrics
