"""Gauges that are read from the ledger at each scrape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from services.retraining.bootstrap import build
from services.retraining.ledger.metrics_snapshot import MetricsSnapshot, OpenRun
from services.retraining.ledger_gauges import update_gauges, update_policies
from services.retraining.metrics import RetrainingMetrics
from services.retraining.policy.live_costs import PolicyCost
from tests.fakes.retraining_app import SETTINGS, RetrainingApp, TestClient
from tests.fakes.retraining_installation import MODEL, START


def test_gauges_are_correct_after_a_restart(open_app: Callable[..., RetrainingApp]) -> None:
    app = open_app(automation="approve")
    app.deploy()
    run_id = app.request_run()["run_id"]
    app.wait_for_state(run_id, "waiting_for_approval")
    released = app.get(f"/models/{MODEL}/releases")["releases"][-1]["released_at"]
    gain = app.get(f"/runs/{run_id}")["gate"]["gain"]
    # Another process with the same home, right after its start.
    text = (
        TestClient(build(app.installation.settings, SETTINGS).app, headers=app.installation.headers)
        .get("/metrics")
        .text
    )
    shown = dict(
        line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("homeostat_retraining_")
    )
    expected = {
        'waiting_runs{model="toy"}': 1.0,
        "runs_open": 1.0,
        "oldest_working_run_age_seconds": 0.0,  # it waits for a person
        "listening": 0.0,
        'last_release_timestamp_seconds{model="toy"}': datetime.fromisoformat(released).timestamp(),
        'generation{model="toy"}': 1.0,
        'unacknowledged_decisions{model="toy"}': 0.0,
        'gate_gain{bound="estimate",model="toy"}': gain["mean"],
        'gate_gain{bound="lower",model="toy"}': gain["lower"],
        'gate_margin{model="toy"}': gain["lower"]
        - app.installation.spec.require_performance().gate.minimum_gain,
    }
    assert {name: float(shown[f"homeostat_retraining_{name}"]) for name in expected} == expected
    assert 0 < float(shown["homeostat_retraining_oldest_open_run_age_seconds"]) < 600


def test_working_run_age_ignores_waiting_runs() -> None:
    metrics, now = RetrainingMetrics(), START
    hours = {"suggested": 30, "queued": 2, "training": 5, "waiting_for_approval": 40}
    runs = tuple(
        OpenRun(MODEL, state, now - timedelta(days=9), now - timedelta(hours=old))  # type: ignore[arg-type]
        for state, old in hours.items()
    )
    nothing = MetricsSnapshot((MODEL,), (), {}, {}, {}, 0)
    name = "homeostat_retraining_oldest_working_run_age_seconds"
    for shown, age in (
        (runs, 5.0),
        (runs[:2], 2.0),
        (runs[:1], 0.0),
        ((), 0.0),
    ):
        update_gauges(metrics, replace(nothing, open_runs=shown), now)
        assert metrics.registry.get_sample_value(name) == age * 3600
    update_gauges(metrics, replace(nothing, open_runs=runs), now - timedelta(days=1))
    assert metrics.registry.get_sample_value(name) == 0


def test_policies_have_series_while_they_are_in_loop_yaml() -> None:
    metrics = RetrainingMetrics()
    update_policies(metrics, {"toy": [PolicyCost("armed", 2, 10.0, 5.0, 1000, 3.0)]})
    labels = {"model": "toy", "policy": "armed"}
    assert metrics.registry.get_sample_value("homeostat_retraining_policy_regret", labels) == 3.0
    assert metrics.registry.get_sample_value("homeostat_retraining_policy_runs", labels) == 2.0
    update_policies(metrics, {})
    assert metrics.registry.get_sample_value("homeostat_retraining_policy_regret", labels) is None
