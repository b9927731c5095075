"""What retraining counts. Labels are bounded: models, verbs, reason codes, outcomes."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)
_RUN_SECONDS = (1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 86400)


class RetrainingMetrics:
    """All metrics of the service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "homeostat_retraining_decisions_total",
            "Decisions made, one per cause; where an alert came before its verdict, one to await it and one about it.",
            ["model", "action", "reason"],
            registry=self.registry,
        )
        self.repeats = Counter(
            "homeostat_retraining_repeated_causes_total",
            "Deliveries of a cause that was decided before.",
            ["model"],
            registry=self.registry,
        )
        self.runs = Counter(
            "homeostat_retraining_runs_total",
            "Runs that ended, by outcome.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self.step_seconds = Histogram(
            "homeostat_retraining_step_seconds",
            "Duration of a run's steps.",
            ["step"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.step_failures = Counter(
            "homeostat_retraining_step_failures_total",
            "Steps that could not go on for now and are tried again.",
            ["step"],
            registry=self.registry,
        )
        self.gate_margin = Gauge(
            "homeostat_retraining_gate_margin",
            "Lower end of the gain's interval less the least gain wanted, at the last gate, in the model's metric.",
            ["model"],
            registry=self.registry,
        )
        self.generation = Gauge(
            "homeostat_retraining_generation",
            "Newest generation in the release log.",
            ["model"],
            registry=self.registry,
        )
        self.releases = Counter(
            "homeostat_retraining_releases_total",
            "Releases made by this process.",
            ["model", "reason"],
            registry=self.registry,
        )
        self.runs_open = Gauge(
            "homeostat_retraining_runs_open", "Runs at work or waiting for a person.", registry=self.registry
        )
        self.verdicts = Counter(
            "homeostat_retraining_verdicts_total",
            "Records read from the verdicts topic, by what became of them.",
            ["result"],
            registry=self.registry,
        )
        self.listener_up = Gauge(
            "homeostat_retraining_listener_up",
            "1 while verdicts are read from Kafka.",
            registry=self.registry,
        )
        self.listening = Gauge(
            "homeostat_retraining_listening",
            "1 where this process is to read verdicts from Kafka, whether it can or not; 0 where that is switched off.",
            registry=self.registry,
        )
        self.leader = Gauge(
            "homeostat_retraining_leader", "1 while this process drives runs.", registry=self.registry
        )
        self.ledger_up = Gauge(
            "homeostat_retraining_ledger_up",
            "1 where the ledger answered this scrape; 0 where it did not, and then what is read from it has no series or is NaN.",
            registry=self.registry,
        )
        self.run_seconds = Histogram(
            "homeostat_retraining_run_duration_seconds",
            "Time from a run's cause to its end, waiting for people included.",
            ["outcome"],
            buckets=_RUN_SECONDS,
            registry=self.registry,
        )
        self.waiting_runs = Gauge(
            "homeostat_retraining_waiting_runs",
            "Runs that wait for a person.",
            ["model"],
            registry=self.registry,
        )
        self.oldest_open_run = Gauge(
            "homeostat_retraining_oldest_open_run_age_seconds",
            "Age of the oldest run that has not ended; 0 where none is open.",
            registry=self.registry,
        )
        self.oldest_working_run = Gauge(
            "homeostat_retraining_oldest_working_run_age_seconds",
            "Age of the oldest run at work, since it began or a person last let it go on; 0 where none is at work.",
            registry=self.registry,
        )
        self.last_release = Gauge(
            "homeostat_retraining_last_release_timestamp_seconds",
            "When the newest release was made.",
            ["model"],
            registry=self.registry,
        )
        self.unacknowledged = Gauge(
            "homeostat_retraining_unacknowledged_decisions",
            "Decisions that wait for a person to have seen them: faults, runs failed or refused, drift that no run answered.",
            ["model"],
            registry=self.registry,
        )
        self.gate_gain = Gauge(
            "homeostat_retraining_gate_gain",
            "The challenger's gain at the last gate, in the model's metric: the estimate, and its interval's lower end.",
            ["model", "bound"],
            registry=self.registry,
        )
        self.baseline_loss = Gauge(
            "homeostat_retraining_baseline_loss",
            "Loss on the newest judged rows had the first released version been left alone, in the model's metric.",
            ["model"],
            registry=self.registry,
        )
        self.served_loss = Gauge(
            "homeostat_retraining_served_loss",
            "Loss on the same rows of what was served, in the model's metric.",
            ["model"],
            registry=self.registry,
        )
        self.annotations = Counter(
            "homeostat_retraining_annotations_total",
            "Annotations of releases and rollbacks for Grafana, by what became of them.",
            ["result"],
            registry=self.registry,
        )
        self.mlflow_pending = Gauge(
            "homeostat_retraining_mlflow_pending_entries",
            "Ledger entries the MLflow mirror lacks.",
            registry=self.registry,
        )

    def count_end(self, model: str, outcome: str, began: datetime, ended: datetime | None) -> None:
        """A run ended."""
        self.runs.labels(model, outcome).inc()
        if ended is not None:
            self.run_seconds.labels(outcome).observe(max(0.0, (ended - began).total_seconds()))
