"""Wires drift and retraining around a replayed lake: the same classes as in the services, in a folder of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event

from prometheus_client import CollectorRegistry

from backtest.replayed_lake import ReplayedLake
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.evidently_adapter import EvidentlyAdapter
from services.drift.metrics import DriftMetrics
from services.drift.monitoring.inputs_clock import InputsClock
from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.drift.monitoring.performance_clock import PerformanceClock
from services.drift.monitoring.references import StoredReferences
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.verdicts.store import VerdictStore
from services.retraining.controller import Controller
from services.retraining.dependencies import Dependencies
from services.retraining.isolated_models import OpenModel
from services.retraining.launchers.launcher import Launcher
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.metrics import RetrainingMetrics
from services.retraining.runs.pipeline import Pipeline
from services.retraining.settings import RetrainingSettings
from shared.models.signed_versions.installation_keys import Keys, ensure_keys
from shared.stores.model_store import ModelStore, open_model_store


@dataclass(frozen=True)
class LoopWorld:
    """Drift and retraining of one replay."""

    store: ModelStore
    keys: Keys
    ledger: Ledger
    controller: Controller
    pipeline: Pipeline
    runs: Path
    reader: DeltaLakeReader
    verdicts: VerdictStore
    inputs: InputsClock
    performance: PerformanceClock

    def close(self) -> None:
        """Close the files."""
        self.verdicts.close()
        self.ledger.close()


def build_world(
    folder: Path,
    lake: ReplayedLake,
    *,
    launcher: Launcher,
    open_model: OpenModel,
    settings: RetrainingSettings,
    sample_rows: int,
    now: Callable[[], datetime],
) -> LoopWorld:
    """Everything a policy acts through, in the empty `folder`. `now`: event time of the replay, which is also the clock."""
    folder.mkdir(parents=True)
    keys = ensure_keys(folder)
    store = open_model_store((folder / "models").as_uri(), keys)
    ledger = Ledger(open_engine(f"sqlite:///{folder / 'ledger.sqlite'}"))
    deps = Dependencies(
        ledger=ledger,
        store=store,
        lake=lake,
        keys=keys,
        launcher=launcher,
        open_model=open_model,
        runs=folder / "runs",
        settings=settings,
        metrics=RetrainingMetrics(),
        clock=now,
    )
    pipeline = Pipeline(deps, Event(), retries=0)
    reader = DeltaLakeReader(lake)
    verdicts = VerdictStore(folder / "drift" / "verdicts.sqlite")
    references = StoredReferences(store, folder / "drift" / "versions", keys.verifying)
    evaluation = WindowEvaluation(
        references,
        reader,
        Evaluator(EvidentlyAdapter(), sample_rows),
        verdicts,
        DriftMetrics(CollectorRegistry()),
        now,
    )
    return LoopWorld(
        store,
        keys,
        ledger,
        Controller(deps, pipeline, wake=lambda: None),
        pipeline,
        deps.runs,
        reader,
        verdicts,
        InputsClock(references, reader, evaluation, verdicts),
        PerformanceClock(references, evaluation, verdicts),
    )
