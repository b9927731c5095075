"""Runs: how they ended, and how long their steps took."""

from __future__ import annotations

from dashboards.parts.palette import RUNS
from dashboards.parts.panel import About, SdkPanel, time_series
from dashboards.parts.query import Query, events, rare_quantile

NO_RUN = "No run within this time range. That is the usual case."


def ended() -> SdkPanel:
    """Runs that ended, by outcome."""
    about = About(
        title="Runs that ended, by outcome",
        unit="none",
        means="Retrainings that ended: promoted, succeeded (kept for a person to deploy), refused by the "
        "gate, rejected by a person, abandoned, failed.",
        normal="some promoted, some refused; never failed.",
        hint="failed: HomeostatRunFailing, and the last lines of `runs/<run>/`. Often refused: HomeostatGateRefusing.",
        empty="No run ended within this time range. That is the usual case.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_runs_total", "outcome"), "{{outcome}}"),
        bars=True,
        colors=RUNS,
    )


def duration() -> SdkPanel:
    """Slowest tenth of runs, by outcome."""
    about = About(
        title="Slowest tenth of runs, by outcome",
        unit="s",
        means="Nine of ten runs of this time range took less, from decision to end.",
        normal="mostly the training command.",
        hint="longer each time: the training window grows; `retraining.window` in loop.yaml bounds it.",
        empty=NO_RUN,
    )
    return time_series(
        about,
        Query(rare_quantile(0.9, "homeostat_retraining_run_duration_seconds", "outcome", ""), "{{outcome}}"),
        colors=RUNS,
    )


def steps() -> SdkPanel:
    """Slowest tenth of steps."""
    about = About(
        title="Slowest tenth of steps",
        unit="s",
        means="Nine of ten executions of each step in this time range took less.",
        normal="train is the longest.",
        hint="freeze: the lake's store. train: your command. judge: many rows at the gate.",
        empty=NO_RUN,
    )
    return time_series(
        about, Query(rare_quantile(0.9, "homeostat_retraining_step_seconds", "step", ""), "{{step}}")
    )


def failures() -> SdkPanel:
    """Steps tried again."""
    about = About(
        title="Steps tried again",
        unit="short",
        means="Steps that could not go on for now: a store away, a full disk. They are tried again by themselves.",
        normal="none.",
        hint="the log names what is away; the run goes on when it is back.",
        empty="No step had to be tried again since the service started. That is as it should be.",
    )
    return time_series(
        about, Query(events("homeostat_retraining_step_failures_total", "step", ""), "{{step}}"), bars=True
    )
