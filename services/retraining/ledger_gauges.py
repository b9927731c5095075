"""Sets gauges from the ledger at each scrape, so that a restart does not change them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from prometheus_client import Gauge

from services.retraining.ledger.metrics_snapshot import MetricsSnapshot
from services.retraining.metrics import RetrainingMetrics
from services.retraining.policy.live_costs import PolicyCost
from services.retraining.run_states import WAITING, WORKING


def update_gauges(metrics: RetrainingMetrics, snapshot: MetricsSnapshot, now: datetime) -> None:
    """Set the gauges. A model without a value, such as a gate result, has no series."""
    metrics.ledger_up.set(1)
    metrics.watch_state.clear()  # a series per state: that of the state before must go
    metrics.first_evidence.clear()  # a generation that was not compared yet has none
    metrics.former_evidence.clear()
    metrics.runs_open.set(len(snapshot.open_runs))
    metrics.mlflow_pending.set(snapshot.unsent)
    ages = [(now - run.created_at).total_seconds() for run in snapshot.open_runs]
    metrics.oldest_open_run.set(max(0.0, *ages) if ages else 0.0)
    working_ages = [(now - run.since).total_seconds() for run in snapshot.open_runs if run.state in WORKING]
    metrics.oldest_working_run.set(max([0.0, *working_ages]))
    for model in snapshot.models:
        waiting = [run for run in snapshot.open_runs if run.model == model and run.state in WAITING]
        metrics.waiting_runs.labels(model).set(len(waiting))
    for model in {*snapshot.models, *snapshot.unacknowledged}:
        metrics.unacknowledged.labels(model).set(snapshot.unacknowledged.get(model, 0))
    for model, last in snapshot.releases.items():
        metrics.last_release.labels(model).set(last.released_at.timestamp())
        metrics.generation.labels(model).set(last.generation)
    for model, watch in snapshot.watches.items():
        metrics.watch_state.labels(model, watch.state).set(1)
        metrics.watch_evidence.labels(model).set(watch.evidence.value)
        metrics.watch_rows.labels(model).set(watch.rows)
        loss, former_loss = watch.losses or (None, None)
        set_or_remove(metrics.watch_loss, (model, "released"), loss)
        set_or_remove(metrics.watch_loss, (model, "former"), former_loss)
    metrics.phase_running.clear()
    for model, phase in snapshot.phases.items():
        metrics.phase_running.labels(model, phase.slot).set(int(not phase.outcome))
        metrics.phase_evidence.labels(model, "operational").set(phase.guard.evidence)
        metrics.phase_evidence.labels(model, "quality").set(phase.evidence.value)
    for model, at in snapshot.refused_phases.items():
        metrics.last_refused_phase.labels(model).set(at.timestamp())
    for model, at in snapshot.own_rollbacks.items():
        metrics.last_own_rollback.labels(model).set(at.timestamp())
    for model, ratio in snapshot.first_evidence.items():
        metrics.first_evidence.labels(model).set(ratio)
    for model, ratio in snapshot.former_evidence.items():
        metrics.former_evidence.labels(model).set(ratio)
    for model, (result, minimum_gain) in snapshot.gates.items():
        gain = result["gain"] or {"mean": None, "lower": None}
        lower = gain["lower"]
        set_or_remove(metrics.gate_gain, (model, "estimate"), gain["mean"])
        set_or_remove(metrics.gate_gain, (model, "lower"), lower)
        set_or_remove(metrics.gate_margin, (model,), None if lower is None else lower - minimum_gain)


def update_policies(metrics: RetrainingMetrics, costs: Mapping[str, Sequence[PolicyCost]]) -> None:
    """Set the gauges of policies, by model; a policy that is not in loop.yaml any more has no series."""
    for gauge in (metrics.policy_runs, metrics.policy_regret):
        gauge.clear()
    for model, policies in costs.items():
        for one in policies:
            metrics.policy_runs.labels(model, one.policy).set(one.runs)
            metrics.policy_regret.labels(model, one.policy).set(one.regret)


def clear_gauges(metrics: RetrainingMetrics) -> None:
    """The ledger is unavailable: remove its values instead of exposing stale ones; other metrics are unchanged."""
    metrics.ledger_up.set(0)
    for plain in (
        metrics.runs_open,
        metrics.mlflow_pending,
        metrics.oldest_open_run,
        metrics.oldest_working_run,
    ):
        plain.set(math.nan)
    for labelled in (
        metrics.waiting_runs,
        metrics.unacknowledged,
        metrics.last_release,
        metrics.generation,
        metrics.gate_gain,
        metrics.gate_margin,
        metrics.watch_state,
        metrics.watch_evidence,
        metrics.watch_rows,
        metrics.watch_loss,
        metrics.last_own_rollback,
        metrics.first_evidence,
        metrics.former_evidence,
        metrics.phase_running,
        metrics.phase_evidence,
        metrics.last_refused_phase,
        metrics.policy_runs,
        metrics.policy_regret,
    ):
        labelled.clear()


def set_or_remove(gauge: Gauge, labels: tuple[str, ...], value: float | None) -> None:
    """Set the gauge; if there is no value, remove the series instead of keeping a stale one."""
    if value is not None:
        gauge.labels(*labels).set(value)
        return
    with suppress(KeyError):
        gauge.remove(*labels)
