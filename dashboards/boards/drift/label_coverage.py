"""Sight: realised loss, and whether there are rows and outcomes enough to see it."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, good_from, time_series
from dashboards.parts.query import MODEL, Query

NO_VERDICT = (
    "No verdict yet: the first window is not complete, or its outcomes are not due. `homeostat "
    "status` says how far it is."
)


def loss() -> SdkPanel:
    """Realised loss against reference."""
    about = About(
        title="Realised loss against reference",
        unit="none",
        means="Loss of the last judged window, in the model's metric, beside the loss of the version on "
        "its own reference. Lower is better.",
        normal="near the reference.",
        hint="above it by more than chance the verdict says drift of performance, and the loop decides "
        "whether to retrain.",
        empty="No loss yet: it needs a judged window whose outcomes have arrived (POST them to :8000/outcomes).",
    )
    return time_series(
        about,
        Query(f"max by (model) (homeostat_drift_loss{{{MODEL}}})", "{{model}} realised"),
        Query(f"max by (model) (homeostat_drift_reference_loss{{{MODEL}}})", "{{model}} reference"),
        minimum=None,
    )


def coverage() -> SdkPanel:
    """Outcomes known."""
    about = About(
        title="Outcomes known",
        unit="percentunit",
        means="Share of the last window's rows whose outcome is known.",
        normal="near 1.",
        hint="low: outcomes are not posted, come later than `outcome.delay` says, or under wrong ids.",
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
        means="Predictions in the last judged window.",
        normal="above `drift.window.minimum_rows`.",
        hint="fewer: the verdict is `insufficient_data`; make windows longer.",
        empty=NO_VERDICT,
    )
    return time_series(about, Query(f"max by (model) (homeostat_drift_window_rows{{{MODEL}}})", "{{model}}"))


def lag() -> SdkPanel:
    """Outcomes behind predictions."""
    about = About(
        title="Outcomes behind predictions",
        unit="s",
        means="Event time by which outcomes trail predictions in the lake.",
        normal="about `outcome.delay` of loop.yaml.",
        hint="growing: outcomes have stopped; HomeostatDriftBlind follows.",
        empty="No outcome in the lake yet: POST them to :8000/outcomes.",
    )
    return time_series(
        about, Query(f"max by (model) (homeostat_drift_outcome_lag_seconds{{{MODEL}}})", "{{model}}")
    )
