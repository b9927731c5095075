"""The shipped example in which a score of Evidently starts a run: from logged rows without outcomes to the run in the ledger.

Real parts in one process: the lake, drift's clock of inputs with Evidently, retraining's controller with its ledger.
"""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from examples.evidently import make_rows
from services.drift.evaluation.columns import sample, sample_seed
from services.drift.evaluation.evaluator import Evaluator
from services.drift.evaluation.evidently_adapter import EvidentlyAdapter
from services.drift.windows import Span
from services.retraining.bootstrap import build
from services.retraining.cause import Cause
from services.retraining.controller import Controller
from services.retraining.ledger.ledger import Ledger
from services.retraining.runs.pipeline import Pipeline
from services.retraining.settings import RetrainingSettings
from shared.contracts.loop_yaml import read_loop_spec
from shared.contracts.manifest import Manifest
from shared.contracts.verdict import Detector, DriftKind, Verdict, cause_key
from shared.settings import HomeostatSettings
from tests.repo.tracked import ROOT
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import World

TEMPLATES, EXAMPLE = ROOT / "cli" / "templates", ROOT / "examples" / "evidently"
SPEC = read_loop_spec(EXAMPLE)
# The days before the change that are logged: enough for windows without drift, few enough to be quick.
CALM_DAYS = 2


def answered(rows: pa.Table) -> dict[str, Any]:
    """The rows as columns, with the answers of a model that knows how lateness arises."""
    columns: dict[str, Any] = {name: rows[name].to_pylist() for name in rows.column_names}
    service = np.array(
        [{"economy": 0.3, "standard": -0.4, "express": -1.2}[one] for one in columns["service"]]
    )
    logit = service + 0.0016 * (np.asarray(columns["distance_km"]) - 440)
    logit = logit + 0.008 * (np.asarray(columns["parcels_today"]) - 400)
    return columns | {"score": 1 / (1 + np.exp(-logit))}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


@pytest.fixture
def installation(world: World) -> Iterator[Installation]:
    """Drift, with Evidently."""
    made = Installation(world, now=make_rows.CHANGE_AT + timedelta(days=30))
    made.monitor.evaluation.evaluator = Evaluator(EvidentlyAdapter())
    yield made
    made.verdicts.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project of `homeostat init` with the example's loop.yaml, as its README says."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    shutil.copy(TEMPLATES / "make_data.py", folder)
    shutil.copy(EXAMPLE / "loop.yaml", folder)
    return folder


@pytest.fixture
def released(world: World, project: Path) -> Manifest:
    parcels = runpy.run_path(str(project / "make_data.py"))["parcels"]
    return world.version(SPEC, answered(parcels(5000, 1)))


@dataclass(frozen=True)
class Retraining:
    """The controller after the deployment of the version, and its ledger. Runs are recorded and not executed."""

    controller: Controller
    ledger: Ledger


@pytest.fixture
def retraining(world: World, project: Path, released: Manifest) -> Iterator[Retraining]:
    service = build(
        HomeostatSettings(home=world.home, kafka="127.0.0.1:1"),
        RetrainingSettings(listen=False, mlflow=False),
    )
    deps = replace(service.deps, settings=RetrainingSettings(listen=True))
    made = Controller(deps, Pipeline(deps, Event()), lambda: None)
    made.deploy(SPEC.model, released.version, str(project), "ann")
    yield Retraining(made, deps.ledger)
    deps.ledger.close()


@pytest.fixture
def verdicts(
    installation: Installation, released: Manifest, retraining: Retraining, project: Path
) -> list[Verdict]:
    """Drift's verdicts on the inputs of the days around the change. No outcome is known."""
    rows = make_rows.rows(project, seed=2)
    first = (make_rows.CHANGE_AFTER_DAYS - CALM_DAYS) * make_rows.ROWS_A_DAY
    installation.world.answer(released, 1, answered(rows.slice(first)), delay=None)
    return installation.judged("inputs")


def test_the_example_is_the_project_of_init_with_another_loop_yaml() -> None:
    template = read_loop_spec(TEMPLATES)
    assert (SPEC.model, SPEC.features, SPEC.prediction) == (
        template.model,
        template.features,
        template.prediction,
    )


@pytest.mark.timeout(300)
def test_evidentlys_distance_of_the_answers_starts_a_run(
    verdicts: list[Verdict], retraining: Retraining, installation: Installation, released: Manifest
) -> None:
    decisions = [
        (verdict, retraining.controller.handle_cause(Cause.of_verdict(verdict))) for verdict in verdicts
    ]
    actions = [recorded.decision.action for _, recorded in decisions]
    started = actions.index("retrain")
    calm = [verdict for verdict in verdicts if verdict.window_end <= make_rows.CHANGE_AT]
    assert {verdict.state for verdict in calm} == {"ok"}
    assert set(actions[: len(calm)]) == {"wait"}

    cause, recorded = decisions[started]
    assert cause.outcomes == 0
    assert cause.loss is None
    assert "prediction" in cause.drifted
    [run] = retraining.ledger.runs()
    assert (run.run_id, run.cause_key, run.source) == (recorded.run_id, cause.verdict_id, "verdict")
    assert "prediction drift: " in recorded.decision.reason
    assert "wasserstein" in recorded.decision.reason

    # The number that started it is Evidently's own, of the same sample.
    [score] = [one for one in cause.scores if one.signal == "prediction"]
    assert score.method == "wasserstein"
    assert score.exceeded
    reference = installation.references.get(SPEC.model, released.version)
    span = Span(cause.window_start, cause.window_end)
    rows = installation.lake_reader.rows(SPEC.model, reference.loop, span, 1, "inputs")
    seed = sample_seed(SPEC.model, released.version, span.end)
    now, before = (sample(side, 5000, seed).predictions["score"] for side in (rows, reference.rows))
    assert score.value == pytest.approx(evidently_distance(now, before), rel=1e-6)


def evidently_distance(now: Any, before: Any) -> float:
    """The drift score of Evidently's public metric."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    roles = DataDefinition(numerical_columns=["score"])
    sides = [
        Dataset.from_pandas(pd.DataFrame({"score": side}), data_definition=roles) for side in (now, before)
    ]
    report = Report([ValueDrift(column="score", method="wasserstein")]).run(*sides)
    return float(report.dict()["metrics"][0]["value"])


def estimate(released: Manifest, detector: Detector, kind: DriftKind, **changes: Any) -> Cause:
    """The cause of a verdict `drift` on a window, of that kind."""
    end = make_rows.CHANGE_AT + timedelta(days=1)
    given = {
        "verdict_id": cause_key(SPEC.model, detector, released.version, end),
        "model": SPEC.model,
        "version": released.version,
        "generation": 1,
        "detector": detector,
        "window_start": end - timedelta(days=1),
        "window_end": end,
        "rows": 500,
        "outcomes": 0 if detector == "inputs" else 450,
        "state": "drift",
        "drifted": (kind,),
        "reached_at": end,
    }
    return Cause.of_verdict(Verdict.model_validate(given | changes))


def test_estimated_performance_starts_one_run_and_realised_performance_no_other(
    released: Manifest, retraining: Retraining
) -> None:
    """By the example's loop.yaml: outcomes of the window come two weeks later, are judged, and are corrected."""
    handle, ledger = retraining.controller.handle_cause, retraining.ledger
    estimated = handle(estimate(released, "inputs", "estimated_performance"))
    assert (estimated.decision.action, estimated.decision.reason_code) == ("retrain", "drift")
    # The gate refuses its version, so neither a run in progress nor a replaced version prevents the second run.
    for state in ("snapshotting", "training", "packaging", "evaluating", "refused"):
        ledger.transition(estimated.run_id, state, make_rows.CHANGE_AT)

    calm = handle(estimate(released, "performance", "performance", state="ok", drifted=()))
    assert (calm.decision.action, calm.decision.reason_code) == ("wait", "healthy")
    revised = handle(estimate(released, "performance", "performance", revision=2))
    assert (revised.decision.action, revised.decision.reason_code) == ("wait", "same_incident")
    again = handle(estimate(released, "inputs", "estimated_performance", revision=2))
    assert again.run_id == estimated.run_id
    assert [run.run_id for run in ledger.runs()] == [estimated.run_id]
