"""What retraining counts. Labels are bounded: models, verbs, reason codes, outcomes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)


class RetrainingMetrics:
    """All metrics of the service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "homeostat_retraining_decisions_total",
            "Decisions made, one per cause.",
            ["model", "verb", "reason"],
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
        self.leader = Gauge(
            "homeostat_retraining_leader", "1 while this process drives runs.", registry=self.registry
        )
        self.mirror_pending = Gauge(
            "homeostat_retraining_mirror_pending_entries",
            "Ledger entries the MLflow mirror lacks.",
            registry=self.registry,
        )
