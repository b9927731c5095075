"""Training a challenger: hand the project's command its folders, and check what it owes."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Protocol

import orjson

from services.retraining.launchers.process import TrainingJob
from services.retraining.runs.snapshot import HOLDOUT, TRAIN
from services.retraining.runs.workspace import RunFolder, write_json
from shared.contracts.manifest import MODEL
from shared.errors import TrainingFailed

METRICS = "metrics.json"


class Launcher(Protocol):
    """What runs a training command somewhere."""

    def train(self, job: TrainingJob, stop: Event) -> None:
        """Run it to its end. Raises TrainingFailed, OperatorError, Interrupted."""


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
    champion = str(folder.champion) if folder.champion.is_dir() else ""
    environment: Mapping[str, str] = {
        "HOMEOSTAT_TRAIN": str(folder.snapshot / TRAIN),
        "HOMEOSTAT_HOLDOUT": str(folder.snapshot / HOLDOUT),
        "HOMEOSTAT_CHAMPION": champion,
        "HOMEOSTAT_OUT": str(out),
    }
    launcher.train(
        TrainingJob(run_id, command, directory, environment, place / "train.log", time_limit), stop
    )
    metrics = _what_it_owes(out)
    write_json(folder.trained, {"attempt": attempt, "metrics": metrics})
    return metrics


def _what_it_owes(out: Path) -> dict[str, float]:
    if not (out / MODEL).is_file():
        raise TrainingFailed(
            f"the training command left no {MODEL}", hint="it must write $HOMEOSTAT_OUT/model.onnx"
        )
    return read_metrics(out / METRICS)


def read_metrics(path: Path) -> dict[str, float]:
    """The metrics a training command wrote: names and finite numbers. Raises TrainingFailed."""
    try:
        # orjson refuses NaN and Infinity, which Python's json writes.
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise TrainingFailed(
            f"{path.name} cannot be read: {error}",
            hint="the training command must write names and finite numbers as JSON",
        ) from error
    if not isinstance(found, dict):
        raise TrainingFailed(f"{path.name} is not a mapping of names to numbers")
    metrics = {}
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise TrainingFailed(f"{path.name}: {name} is {value!r}; expected a finite number")
        metrics[str(name)] = float(value)
    return metrics
