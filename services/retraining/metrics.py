"""Metrics of retraining. Label values are bounded: models, actions, reason codes, outcomes."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)
_RUN_SECONDS = (1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 21600, 86400)


# Label `model` of causes whose model is not deployed: names from requests must not create series. No model has this name.
UNKNOWN_MODEL = "(unknown)"


class RetrainingMetrics:
    """All metrics of the service, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = Counter(
            "homeostat_retraining_decisions_total",
            "Decisions, one per cause; two if an alert arrived before its verdict: one to await the verdict and one on it.",
            ["model", "action", "reason_code"],
            registry=self.registry,
        )
        self.repeats = Counter(
            "homeostat_retraining_repeated_causes_total",
            "Repeated deliveries of a cause that was decided already.",
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
            "Failed attempts of steps that are retried.",
            ["step"],
            registry=self.registry,
        )
        self.gate_margin = Gauge(
            "homeostat_retraining_gate_margin",
            "Lower confidence bound of the gain minus gate.minimum_gain at the latest gate, in the model's metric.",
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
            "homeostat_retraining_runs_open",
            "Runs in progress or waiting for a person.",
            registry=self.registry,
        )
        self.verdicts = Counter(
            "homeostat_retraining_verdicts_total",
            "Records read from the verdicts topic, by result: received, unauthenticated, unreadable, refused or set_aside.",
            ["result"],
            registry=self.registry,
        )
        self.listener_up = Gauge(
            "homeostat_retraining_listener_up",
            "1 while verdicts are consumed from Kafka.",
            registry=self.registry,
        )
        self.listening = Gauge(
            "homeostat_retraining_listening",
            "1 if this process is configured to consume verdicts from Kafka, connected or not; 0 if that is switched off.",
            registry=self.registry,
        )
        self.leader = Gauge(
            "homeostat_retraining_leader",
            "1 while this process is the leader and executes runs.",
            registry=self.registry,
        )
        self.ledger_up = Gauge(
            "homeostat_retraining_ledger_up",
            "1 if the ledger answered this scrape; 0 if not: then its metrics have no series or are NaN.",
            registry=self.registry,
        )
        self.run_seconds = Histogram(
            "homeostat_retraining_run_duration_seconds",
            "Time from a run's creation to its end, including time waiting for approval.",
            ["outcome"],
            buckets=_RUN_SECONDS,
            registry=self.registry,
        )
        self.waiting_runs = Gauge(
            "homeostat_retraining_waiting_runs",
            "Runs that await approval.",
            ["model"],
            registry=self.registry,
        )
        self.oldest_open_run = Gauge(
            "homeostat_retraining_oldest_open_run_age_seconds",
            "Age of the oldest run that has not ended; 0 if none is open.",
            registry=self.registry,
        )
        self.oldest_working_run = Gauge(
            "homeostat_retraining_oldest_working_run_age_seconds",
            "Age of the oldest run in progress, since its creation or last approval; 0 if none is in progress.",
            registry=self.registry,
        )
        self.last_release = Gauge(
            "homeostat_retraining_last_release_timestamp_seconds",
            "Time of the newest release.",
            ["model"],
            registry=self.registry,
        )
        self.unacknowledged = Gauge(
            "homeostat_retraining_unacknowledged_decisions",
            "Decisions that need an acknowledgement: data faults, failed or refused runs, drift that no run resolved.",
            ["model"],
            registry=self.registry,
        )
        self.gate_gain = Gauge(
            "homeostat_retraining_gate_gain",
            "The challenger's gain at the latest gate, in the model's metric: the estimate, and its lower confidence bound.",
            ["model", "bound"],
            registry=self.registry,
        )
        self.baseline_loss = Gauge(
            "homeostat_retraining_baseline_loss",
            "Loss of the first released version on the newest rows with outcomes, in the model's metric.",
            ["model"],
            registry=self.registry,
        )
        self.served_loss = Gauge(
            "homeostat_retraining_served_loss",
            "Loss of the served version on the same rows, in the model's metric.",
            ["model"],
            registry=self.registry,
        )
        self.first_evidence = Gauge(
            "homeostat_retraining_first_version_evidence_ratio",
            "Evidence that the served version is worse than the first one on the same rows: logarithm relative to that of the "
            "threshold, 1 at an alarm.",
            ["model"],
            registry=self.registry,
        )
        self.former_evidence = Gauge(
            "homeostat_retraining_former_version_evidence_ratio",
            "Evidence that the served version is worse than the former champion on the same rows, in the same unit: from 1 on "
            "it is called improvable, and nothing else follows.",
            ["model"],
            registry=self.registry,
        )
        self.policy_runs = Gauge(
            "homeostat_retraining_policy_runs",
            "Runs of the armed policy, and runs that each shadow policy would have started, since all of them decide.",
            ["model", "policy"],
            registry=self.registry,
        )
        self.policy_regret = Gauge(
            "homeostat_retraining_policy_regret",
            "Cost of a policy minus that of the cheapest one, in the unit of `costs` in loop.yaml: trainings, and losses where "
            "two versions were scored on the same rows.",
            ["model", "policy"],
            registry=self.registry,
        )
        self.watches = Counter(
            "homeostat_retraining_watches_total",
            "Watched releases whose watch this process ended, by outcome: kept, rolled_back, worse, superseded or failed.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self.watch_state = Gauge(
            "homeostat_retraining_watch_state",
            "1 for the state of the watch of the model's newest watched release; see `state` of the watch in /status.",
            ["model", "state"],
            registry=self.registry,
        )
        self.watch_evidence = Gauge(
            "homeostat_retraining_watch_evidence",
            "Evidence that the newest watched release is worse than the version before it; at 20 a promotion is rolled back.",
            ["model"],
            registry=self.registry,
        )
        self.watch_rows = Gauge(
            "homeostat_retraining_watch_rows",
            "Rows that both versions of the newest watch were scored on.",
            ["model"],
            registry=self.registry,
        )
        self.watch_loss = Gauge(
            "homeostat_retraining_watch_loss",
            "Loss on the rows of the newest watch, in the model's metric, of the released version and of the former one.",
            ["model", "version"],
            registry=self.registry,
        )
        self.last_own_rollback = Gauge(
            "homeostat_retraining_last_own_rollback_timestamp_seconds",
            "When the loop last rolled a release back, in seconds since 1970.",
            ["model"],
            registry=self.registry,
        )
        self.phases = Counter(
            "homeostat_retraining_phases_total",
            "Phases of runs that this process ended, by outcome: passed, operational, worse, withdrawn, champion_changed or "
            "slot_taken.",
            ["model", "slot", "outcome"],
            registry=self.registry,
        )
        self.phase_running = Gauge(
            "homeostat_retraining_phase_running",
            "1 while a challenger of the model is tried in this slot before its promotion.",
            ["model", "slot"],
            registry=self.registry,
        )
        self.phase_evidence = Gauge(
            "homeostat_retraining_phase_evidence",
            "Evidence against the challenger of the newest phase: kind operational or quality; at 20 of either it is refused.",
            ["model", "kind"],
            registry=self.registry,
        )
        self.last_refused_phase = Gauge(
            "homeostat_retraining_last_refused_phase_timestamp_seconds",
            "When a challenger was last refused as canary or shadow, in seconds since 1970.",
            ["model"],
            registry=self.registry,
        )
        self.annotations = Counter(
            "homeostat_retraining_annotations_total",
            "Grafana annotations of releases and rollbacks, by result.",
            ["result"],
            registry=self.registry,
        )
        self.mlflow_pending = Gauge(
            "homeostat_retraining_mlflow_pending_entries",
            "Ledger entries not yet sent to MLflow.",
            registry=self.registry,
        )

    def count_end(self, model: str, outcome: str, began: datetime, ended: datetime | None) -> None:
        """Count a run that ended, and its duration."""
        self.runs.labels(model, outcome).inc()
        if ended is not None:
            self.run_seconds.labels(outcome).observe(max(0.0, (ended - began).total_seconds()))
