"""Scores and thresholds."""

from __future__ import annotations

from dashboards.parts.palette import BAD, GOOD
from dashboards.parts.panel import About, SdkPanel, bars, time_series
from dashboards.parts.query import MODEL, Query

NO_VERDICT = (
    "No verdict yet: the first window is not complete, or its outcomes are not due; see `homeostat status`."
)
SCORE = f"homeostat_drift_score{{{MODEL}}}"
THRESHOLD = f"homeostat_drift_threshold{{{MODEL}}}"
OVER = f"max by (model, signal, feature, method, slice) ({SCORE} / ({THRESHOLD} > 0))"
LABELS = "{{signal}} {{feature}} {{slice}} {{method}}"
ABOVE_THRESHOLD = ((None, GOOD), (1, BAD))


def ratio() -> SdkPanel:
    """Score ÷ threshold."""
    about = About(
        title="Score ÷ threshold",
        unit="none",
        shows=(
            "Each score of the last window divided by its threshold (the tolerance in loop.yaml plus what "
            "sampling noise allows at that window size)."
        ),
        normal="below 1.",
        hint=(
            "above 1: the verdict's report shows which feature changed and how. Feature drift alone does not "
            "always hurt performance."
        ),
        empty=NO_VERDICT,
    )
    return time_series(about, Query(OVER, LABELS), steps=ABOVE_THRESHOLD)


def last_window() -> SdkPanel:
    """Score ÷ threshold, last window."""
    about = About(
        title="Score ÷ threshold, last window",
        unit="none",
        shows="The latest score of each kind divided by its threshold.",
        normal="below 1.",
        hint="`data` above 1 is a data fault: fix the source. `performance` above 1: a retraining may lower it.",
        empty=NO_VERDICT,
    )
    return bars(about, Query(OVER, LABELS), steps=ABOVE_THRESHOLD)


def score() -> SdkPanel:
    """Score."""
    about = About(
        title="Score",
        unit="none",
        shows="The raw scores, each in the unit of its method.",
        normal="stable.",
        hint="a step: check what changed upstream at that time.",
        empty=NO_VERDICT,
    )
    return time_series(about, Query(f"max by (model, signal, feature, method, slice) ({SCORE})", LABELS))


def threshold() -> SdkPanel:
    """Threshold."""
    about = About(
        title="Threshold",
        unit="none",
        shows="The limit of each score. Small windows have wider thresholds because sampling noise is larger.",
        normal="stable while the number of rows is stable.",
        hint="too wide to detect anything: use longer windows or a larger alarm budget in loop.yaml.",
        empty=NO_VERDICT,
    )
    return time_series(about, Query(f"max by (model, signal, feature, method, slice) ({THRESHOLD})", LABELS))
