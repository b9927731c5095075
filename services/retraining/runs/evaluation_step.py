"""Evaluates the gate of a run: reads its files and its siblings, then compares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from services.retraining.dependencies import Dependencies
from services.retraining.expectations.expectation_check import check_expectations, validator
from services.retraining.gate_checks.check import Measured
from services.retraining.gate_checks.repeated_attempts import Interval, attempt_number
from services.retraining.launchers.project_folder import check_project_folder, trusted_roots
from services.retraining.ledger.records import Run
from services.retraining.runs.evaluation import compare
from services.retraining.runs.gate import GateResult
from services.retraining.runs.workspace import RunFolder
from shared.contracts.manifest import REFERENCE
from shared.models.signed_versions.verification import verify_version

# Runs that are looked at, newest first.
_SIBLINGS = 1000


def evaluate(deps: Dependencies, run: Run, folder: RunFolder) -> GateResult:
    """Compare the run's version with its champion on its holdout. Raises NotFound, IntegrityError, ProjectError.

    1. verify both versions   2. count the run's siblings   3. validate the rows, if the project has a suite
    4. measure both models and evaluate the gate
    """
    folder.require_holdout()
    manifest = verify_version(folder.version, version=run.version, verifying_key=deps.keys.verifying)
    champion = (
        verify_version(folder.champion, version=run.champion, verifying_key=deps.keys.verifying)
        if run.champion
        else None
    )
    return compare(
        manifest.loop,
        pq.read_table(folder.holdout),
        version=run.version,
        challenger=folder.version / manifest.model_file,
        champion_version=run.champion,
        champion=folder.champion / champion.model_file if champion else None,
        champion_spec=champion.loop if champion else None,
        calls=deps.settings.latency_calls,
        open_model=deps.open_model,
        reference=pq.read_table(folder.version / REFERENCE),
        attempt=attempt_of(run, deps.ledger.runs(run.model, limit=_SIBLINGS)),
        also=_expectations(deps, run, folder),
    )


def _expectations(deps: Dependencies, run: Run, folder: RunFolder) -> list[Measured]:
    suite = run.loop.require_performance().gate.expectations
    if suite is None:
        return []
    project = check_project_folder(Path(run.directory), trusted_roots(deps.settings.project_roots))
    validate = validator(deps.settings.expectations_python, deps.settings.model_seconds)
    return [check_expectations(validate, project, suite, folder.holdout)]


def attempt_of(run: Run, others: Sequence[Run]) -> int:
    """The run's number among the attempts to replace its champion on holdouts that overlap with its own, from 1.

    A promotion changes the champion, and so begins a new count. Runs that ended before their comparison spent nothing.
    """
    earlier = [
        _holdout(one)
        for one in others
        if one.run_id != run.run_id
        and one.champion == run.champion
        and one.gate is not None
        and one.gate["gain"] is not None
    ]
    return attempt_number(_holdout(run), earlier)


def _holdout(run: Run) -> Interval:
    snapshot = run.snapshot or {}
    return datetime.fromisoformat(snapshot["holdout_from"]), datetime.fromisoformat(snapshot["holdout_until"])
