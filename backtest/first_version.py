"""The first version of a back-test: trained on the rows before its start, as a run of the loop would be at that time."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event

from backtest.history import History
from backtest.replayed_lake import Replay, ReplayedLake
from services.retraining.isolated_models import OpenModel
from services.retraining.launchers.launcher import Launcher
from services.retraining.runs.data_snapshot import problem_with, take_snapshot
from services.retraining.runs.reference_rows import write_reference
from services.retraining.runs.training import train, trained_attempt
from services.retraining.runs.workspace import RunFolder
from services.retraining.snapshots.pin import Pin
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.manifest import Manifest, Origin
from shared.errors import ProjectError
from shared.models.signed_versions.installation_keys import Keys
from shared.models.signed_versions.packaging import package_version
from shared.models.training.training_outputs import find_model
from shared.stores.model_store import ModelStore


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its metrics and reference. `rows` it was trained on, the newest of which is of `trained_until`."""

    model: Path
    reference: Path
    metrics: dict[str, float]
    trained_until: str
    rows: int


@dataclass(frozen=True)
class Trainer:
    """Trains models outside of runs: the first version, and those that only the best schedule in hindsight may use."""

    project: Path
    launcher: Launcher
    open_model: OpenModel
    reference_rows: int
    history: History

    def train_at(self, loop: LoopSpec, moment: datetime, first: int, folder: Path, name: str) -> TrainedModel:
        """Train as a run at this event time would, on rows from number `first` on: the same cut-offs, the same command.

        Raises ProjectError where the rows do not suffice, TrainingFailed.
        """
        lake = ReplayedLake("", self.history, loop.prediction, Replay(moment), first)
        run = RunFolder(folder / "runs" / name)
        run.root.mkdir(parents=True, exist_ok=True)
        watermark = lake.watermark(loop.model)
        if watermark is None:
            raise ProjectError(
                f"there are no rows before {moment:%Y-%m-%d %H:%M}", hint="give a later --start"
            )
        summary = take_snapshot(lake, loop, Pin(0, 0, watermark.isoformat()), None, run)
        problem = problem_with(summary, loop, run)
        if problem:
            raise ProjectError(
                f"at {moment:%Y-%m-%d %H:%M} no model can be trained: {problem}",
                hint="give a later --start, or a longer history",
            )
        policy = loop.require_performance().retraining
        metrics = train(
            self.launcher,
            run_id=f"backtest-{name}",
            command=policy.command,
            passed=policy.environment,
            limits=loop.training,
            directory=self.project,
            time_limit=policy.time_limit,
            folder=run,
            attempt=1,
            stop=Event(),
        )
        done = trained_attempt(run)
        assert done is not None
        model = find_model(run.attempt(done[0]) / "out")
        write_reference(run, model, loop, max_rows=self.reference_rows, open_model=self.open_model)
        return TrainedModel(model, run.reference, metrics, summary.train_until, summary.train_rows)


def store_version(
    trained: TrainedModel, loop: LoopSpec, store: ModelStore, keys: Keys, draft: Path
) -> Manifest:
    """Package a model as a deployed version, and store it."""
    shutil.rmtree(draft, ignore_errors=True)
    manifest = package_version(
        draft,
        loop=loop,
        model=trained.model,
        reference=trained.reference,
        origin=Origin(kind="deployment", trained_until=trained.trained_until),
        metrics=trained.metrics,
        signing_key=keys.signing,
    )
    store.put_version(loop.model, manifest.version, draft)
    return manifest
