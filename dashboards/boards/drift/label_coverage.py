"""Realised loss, and whether there are enough rows and outcomes to measure it."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, good_from, time_series
from dashboards.parts.query import MODEL, Query, events

NO_VERDICT = (
    "No verdict yet: the first window is not complete, or its outcomes are not due; see `homeostat status`."
)


def loss() -> SdkPanel:
    """Realised and estimated loss against reference."""
    about = About(
        title="Realised and estimated loss",
        unit="none",
        shows=(
            "Loss of the last evaluated window in the model's metric, as realised with outcomes and as estimated without, and "
            "the version's loss on its reference. Lower is better."
        ),
        normal="near the reference.",
        hint="above it by more than chance: the verdict is performance drift, and policy decides whether to retrain. Realised "
        "above estimated: outcomes depend on the features in another way than before.",
        empty="No loss yet: it needs an evaluated window with outcomes (POST them to :8000/outcomes).",
    )
    return time_series(
        about,
        Query(f"max by (model) (homeostat_drift_loss{{{MODEL}}})", "{{model}} realised"),
        Query(f"max by (model) (homeostat_drift_estimated_loss{{{MODEL}}})", "{{model}} estimated"),
        Query(f"max by (model) (homeostat_drift_reference_loss{{{MODEL}}})", "{{model}} reference"),
        minimum=None,
    )


def coverage() -> SdkPanel:
    """Label coverage."""
    about = About(
        title="Label coverage",
        unit="percentunit",
        shows="Share of the last window's rows that have an outcome.",
        normal="near 1.",
        hint="low: outcomes are not posted, are later than `outcome.delay`, or have wrong ids.",
        empty=NO_VERDICT,
    )
    return time_series(
        about,
        Query(f"max by (model) (homeostat_drift_outcome_coverage_ratio{{{MODEL}}})", "{{model}}"),
        steps=good_from(0.5),
        maximum=1,
    )


def rows() -> SdkPanel:
    """Rows in the window."""
    about = About(
        title="Rows in the window",
        unit="short",
        shows="Predictions in the last evaluated window.",
        normal="above `drift.window.minimum_rows`.",
        hint="fewer: the verdict is `insufficient_data`; use longer windows.",
        empty=NO_VERDICT,
    )
    return time_series(about, Query(f"max by (model) (homeostat_drift_window_rows{{{MODEL}}})", "{{model}}"))


def lag() -> SdkPanel:
    """Label lag."""
    about = About(
        title="Label lag",
        unit="s",
        shows=(
            "Event time by which outcomes are behind predictions in the lake, and the median time from an event to its "
            "outcome in the last judged window."
        ),
        normal="the median below `outcome.delay` of loop.yaml.",
        hint="behind and growing: outcomes have stopped; HomeostatOutcomesOverdue follows.",
        empty="No outcome in the lake yet: POST them to :8000/outcomes.",
    )
    behind = (
        f"clamp_min(max by (model) (homeostat_drift_watermark_timestamp_seconds{{{MODEL}}}) - max by (model) "
        f"(homeostat_drift_outcomes_last_observed_timestamp_seconds{{{MODEL}}}), 0)"
    )
    return time_series(
        about,
        Query(behind, "{{model}} behind"),
        Query(f"max by (model) (homeostat_drift_outcome_lag_seconds{{{MODEL}}})", "{{model}} median"),
    )


def faults() -> SdkPanel:
    """Faulty outcomes."""
    about = About(
        title="Faulty outcomes",
        unit="short",
        shows=(
            "Outcomes in evaluated windows that are early (observed more than a day before the event, and ignored) or "
            "contradicting (different from another outcome of the same prediction; the last received counts), also by API key."
        ),
        normal="none, or a few contradicting ones where outcomes are corrected.",
        hint="many: the sender confuses predictions, its clock is wrong, or somebody poisons outcomes.",
        empty="No window was evaluated since drift started: see `homeostat status`.",
    )
    return time_series(
        about,
        Query(events("homeostat_drift_outcome_faults_total", "model, fault"), "{{model}} {{fault}}"),
        Query(
            events("homeostat_drift_contradicting_outcomes_total", "model, sender"),
            "{{model}} contradicting, of {{sender}}",
        ),
        bars=True,
    )
