"""The route of a run's steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.retraining.http.lineage import describe_run
from services.retraining.http.run_steps import describe_steps
from services.retraining.ledger.ledger import Ledger
from services.retraining.runs.workspace import RunFolder
from shared.errors import DependencyUnavailable, NotFound
from shared.http.responses import json_response
from shared.stores.model_store import ModelStore

Lines = Annotated[int, Query(ge=0, le=10_000)]


def add_step_routes(
    router: APIRouter, ledger: Callable[[], Ledger], store: Callable[[], ModelStore], runs: Callable[[], Path]
) -> None:
    """`runs`: the folder of all runs' files."""

    @router.get("/runs/{run_id}/steps")
    def steps(run_id: str, log_lines: Lines = 20) -> Response:
        """The steps of a run with inputs, outputs, digests, and the last `log_lines` lines that its training command wrote."""
        run = ledger().run(run_id)
        try:
            manifest = store().manifest(run.model, run.version) if run.version else None
        except (NotFound, DependencyUnavailable):
            manifest = None  # the version was deleted; the ledger still has the rest
        found = describe_steps(
            run, RunFolder(runs() / run.run_id), ledger().phases.of_run(run_id), manifest, log_lines
        )
        described = describe_run(run, ledger().answers(run_id))
        names = ("run_id", "model", "state", "reason", "created_at", "ended_at", "cause_key", "cause_reason")
        return json_response({**{name: described[name] for name in names}, "steps": found})
