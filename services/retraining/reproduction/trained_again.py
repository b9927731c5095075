"""Trains a version again on its rows, and compares what comes out with the version."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from services.retraining.isolated_models import OpenModel
from services.retraining.launchers.launcher import Launcher
from services.retraining.reproduction.made_again import MadeAgain
from services.retraining.runs.training import train
from services.retraining.runs.workspace import RunFolder
from shared.contracts.manifest import MANIFEST, REFERENCE
from shared.contracts.version_files.names import MODEL_FILES
from shared.errors import NotFound
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.verification import verify_version
from shared.models.training.training_outputs import find_model
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class TrainedAgain:
    """`model_equal`: whether the model's file is the same byte by byte. `largest_difference`: of both models' answers to the
    reference rows of the version. `metrics`: what the training command reported then and now."""

    model_equal: bool
    largest_difference: float
    metrics: dict[str, tuple[float | None, float | None]]

    def to_json(self) -> dict[str, Any]:
        """For the command line."""
        return {
            "model_equal": self.model_equal,
            "largest_difference": self.largest_difference,
            "metrics": {name: {"then": then, "now": now} for name, (then, now) in self.metrics.items()},
        }


def train_again(
    made: MadeAgain,
    *,
    store: ModelStore,
    keys: Keys,
    launcher: Launcher,
    open_model: OpenModel,
    directory: Path,
    folder: Path,
) -> TrainedAgain:
    """Run the training command of the version's loop.yaml on the rows. Raises TrainingFailed, NotFound, UnservableModel.

    The command is that of the project's folder as it is now; the champion is the one of then.
    """
    manifest = made.manifest
    policy = manifest.loop.retraining
    if policy is None:
        raise NotFound(
            f"loop.yaml of {manifest.model} has no retraining.command", hint="nothing can be trained"
        )
    run = RunFolder(folder / "runs" / f"again-{manifest.version[:12]}")
    run.snapshot.mkdir(parents=True)
    shutil.copyfile(made.train, run.train)
    if manifest.origin.parent:
        _fetch_champion(store, keys, manifest.model, manifest.origin.parent, run)
    metrics = train(
        launcher,
        run_id=run.root.name,
        command=policy.command,
        passed=policy.environment,
        limits=manifest.loop.training,
        directory=directory,
        time_limit=policy.time_limit,
        folder=run,
        attempt=1,
        stop=Event(),
    )
    model = find_model(run.attempt(1) / "out")
    version = folder / "version"
    store.get_version(manifest.model, manifest.version, version)
    verify_version(version, version=manifest.version, verifying_key=keys.verifying)
    digest = sha256(model.read_bytes()).hexdigest()
    return TrainedAgain(
        model.name == manifest.model_file and digest == manifest.files[manifest.model_file].sha256,
        _largest_difference(made, open_model, version, model),
        {
            name: (manifest.metrics.get(name), metrics.get(name))
            for name in sorted(manifest.metrics.keys() | metrics.keys())
        },
    )


def _fetch_champion(store: ModelStore, keys: Keys, model: str, version: str, run: RunFolder) -> None:
    """The champion as training received it: its model and manifest."""
    whole = run.evaluation / "champion"
    store.get_version(model, version, whole)
    verify_version(whole, version=version, verifying_key=keys.verifying)
    run.champion_for_training.mkdir(parents=True)
    for name in (*(name for name in MODEL_FILES if (whole / name).is_file()), MANIFEST):
        shutil.copyfile(whole / name, run.champion_for_training / name)


def _largest_difference(made: MadeAgain, open_model: OpenModel, version: Path, model: Path) -> float:
    loop = made.manifest.loop
    rows = pq.read_table(version / REFERENCE)
    answers = []
    for path in (version / made.manifest.model_file, model):
        with open_model(path, loop, "a version was trained again and compared") as opened:
            answers.append(np.asarray(opened.score(rows), np.float64))
    return float(np.abs(answers[0] - answers[1]).max(initial=0.0))
