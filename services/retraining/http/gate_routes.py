"""The routes of a gate's result: as JSON, and as a page."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from services.retraining.http.gate_page import CONTENT_SECURITY_POLICY, render_gate
from services.retraining.http.lineage import describe_run
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Run
from shared.errors import NotFound
from shared.http.responses import json_response


def add_gate_routes(router: APIRouter, ledger: Callable[[], Ledger]) -> None:
    """Both routes; 404 for a run without a gate result."""

    @router.get("/runs/{run_id}/gate.json")
    def gate_json(run_id: str) -> Response:
        """The gate's result of a run: its checks with their reasons, and the numbers that they were decided from."""
        return json_response(_evaluated(ledger(), run_id).gate)

    @router.get("/runs/{run_id}/gate", response_class=HTMLResponse)
    def gate_page(run_id: str) -> Response:
        """The gate's result of a run as a page: before and after, cumulative gain, slices and reliability."""
        page = render_gate(describe_run(_evaluated(ledger(), run_id)))
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


def _evaluated(ledger: Ledger, run_id: str) -> Run:
    run = ledger.run(run_id)
    if run.gate is None:
        raise NotFound(
            f"run {run_id} has no gate result", hint=f"it is {run.state}: {run.reason or 'not evaluated yet'}"
        )
    return run
