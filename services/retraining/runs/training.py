"""Training a challenger: hand the project's command its folders, and check what it owes."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from threading import Event

import orjson

from services.retraining.launchers.launcher import Launcher
from services.retraining.runs.workspace import RunFolder, write_json
from shared.errors import TrainingFailed
from shared.models.training_command import TrainingJob, read_outputs, training_environment


def trained_attempt(folder: RunFolder) -> tuple[int, dict[str, float]] | None:
    """The attempt that ended well, with its metrics; None where none has."""
    if not folder.trained.is_file():
        return None
    kept = orjson.loads(folder.trained.read_bytes())
    return kept["attempt"], kept["metrics"]


def train(
    launcher: Launcher,
    *,
    run_id: str,
    command: tuple[str, ...],
    directory: Path,
    time_limit: timedelta,
    folder: RunFolder,
    attempt: int,
    stop: Event,
) -> dict[str, float]:
    """Find or create the trained model of a run; its metrics.

    1. an attempt that ended well is kept   2. a new attempt gets an empty folder   3. the command runs
    4. what it owes is checked   5. the attempt is named the good one: only now does it exist for the steps that follow
    """
    done = trained_attempt(folder)
    if done is not None:
        return done[1]
    if not directory.is_dir():
        raise TrainingFailed(
            f"the project folder {directory} is not there", hint="deploy the model again with its folder"
        )
    place = folder.attempt(attempt)
    shutil.rmtree(place, ignore_errors=True)
    out = place / "out"
    out.mkdir(parents=True)
    environment = training_environment(
        train=folder.train, out=out, champion=folder.champion if folder.champion.is_dir() else None
    )
    launcher.train(
        TrainingJob(run_id, command, directory, environment, place / "train.log", time_limit), stop
    )
    metrics = read_outputs(out)
    write_json(folder.trained, {"attempt": attempt, "metrics": metrics})
    return metrics
