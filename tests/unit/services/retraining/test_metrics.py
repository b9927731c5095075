"""Metrics that count the ends of runs."""

from __future__ import annotations

from collections.abc import Callable

from services.retraining.cause import Cause
from tests.fakes.retraining_app import RetrainingApp


def test_ended_run_is_counted_with_its_duration(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(automation="suggest")
    app.deploy()
    run_id = app.service.controller.handle_cause(Cause.of_verdict(app.installation.verdict(15))).run_id
    app.post(f"/runs/{run_id}/reject", {"actor": "ann"}, 200)
    text = app.client.get("/metrics").text
    assert 'homeostat_retraining_run_duration_seconds_count{outcome="rejected"} 1.0' in text
    assert 'homeostat_retraining_runs_total{model="toy",outcome="rejected"} 1.0' in text
