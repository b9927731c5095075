"""Runs: outcomes, duration, steps."""

from __future__ import annotations

from dashboards.parts.palette import RUNS
from dashboards.parts.panel import About, SdkPanel, time_series
from dashboards.parts.query import Query, events, rare_quantile

NO_RUN = "No run in this time range. That is the usual case."


def finished() -> SdkPanel:
    """Finished runs, by outcome."""
    about = About(
        title="Finished runs, by outcome",
        unit="none",
        shows=(
            "Runs that were promoted, succeeded (kept for a person to deploy), refused by the gate, rejected by a"
            " person, abandoned, or failed."
        ),
        normal="some promoted, some refused; none failed.",
        hint="failed: HomeostatRunFailing, and the log in `runs/<run>/`. Often refused: HomeostatGateRefusing.",
        empty="No run finished in this time range. That is the usual case.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_runs_total", "outcome"), "{{outcome}}"),
        bars=True,
        colors=RUNS,
    )


def duration() -> SdkPanel:
    """Run duration p90, by outcome."""
    about = About(
        title="Run duration p90, by outcome",
        unit="s",
        shows="p90 of the time from decision to end, in this time range.",
        normal="mostly the training command.",
        hint="longer each time: the training window grows; limit it with `retraining.window` in loop.yaml.",
        empty=NO_RUN,
    )
    return time_series(
        about,
        Query(rare_quantile(0.9, "homeostat_retraining_run_duration_seconds", "outcome", ""), "{{outcome}}"),
        colors=RUNS,
    )


def steps() -> SdkPanel:
    """Step duration p90."""
    about = About(
        title="Step duration p90",
        unit="s",
        shows="p90 of the duration of each step, in this time range.",
        normal="train is the longest.",
        hint="check the step's log lines: the lake's storage, your training command, or many holdout rows.",
        empty=NO_RUN,
    )
    return time_series(
        about, Query(rare_quantile(0.9, "homeostat_retraining_step_seconds", "step", ""), "{{step}}")
    )


def failures() -> SdkPanel:
    """Retried steps."""
    about = About(
        title="Retried steps",
        unit="short",
        shows="Steps that failed for now (a store is unavailable, the disk is full) and are retried.",
        normal="none.",
        hint="the log names the cause; the run continues when it is fixed.",
        empty="No step was retried since the service started. That is fine.",
    )
    return time_series(
        about, Query(events("homeostat_retraining_step_failures_total", "step", ""), "{{step}}"), bars=True
    )
