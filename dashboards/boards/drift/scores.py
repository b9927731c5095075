"""Evidence: scores, thresholds, and the one over the other."""

from __future__ import annotations

from dashboards.parts.palette import BAD, GOOD
from dashboards.parts.panel import About, SdkPanel, bars, time_series
from dashboards.parts.query import MODEL, Query

NO_VERDICT = (
    "No verdict yet: the first window is not complete, or its outcomes are not due. `homeostat "
    "status` says how far it is."
)
SCORE = f"homeostat_drift_score{{{MODEL}}}"
THRESHOLD = f"homeostat_drift_threshold{{{MODEL}}}"
OVER = f"max by (model, signal, feature, method) ({SCORE} / ({THRESHOLD} > 0))"
LABELS = "{{signal}} {{feature}} {{method}}"
ABOVE_THRESHOLD = ((None, GOOD), (1, BAD))


def ratio() -> SdkPanel:
    """Evidence: score ÷ threshold."""
    about = About(
        title="Evidence: score ÷ threshold",
        unit="none",
        means="Each score of the last window over its threshold (tolerance of loop.yaml plus what chance "
        "allows at that size).",
        normal="below 1; near 1 it says nothing yet.",
        hint="above 1: the verdict's report says which feature and how. Drift of a "
        "feature alone need not hurt.",
        empty=NO_VERDICT,
    )
    return time_series(about, Query(OVER, LABELS), steps=ABOVE_THRESHOLD)


def now() -> SdkPanel:
    """Scores of the last window."""
    about = About(
        title="Scores of the last window",
        unit="none",
        means="The newest score of each kind over its threshold, one bar each.",
        normal="below 1.",
        hint="a `data` score above 1 is a fault: mend the source. `performance` above 1 is what retraining is for.",
        empty=NO_VERDICT,
    )
    return bars(about, Query(OVER, LABELS), steps=ABOVE_THRESHOLD)


def score() -> SdkPanel:
    """Score."""
    about = About(
        title="Score",
        unit="none",
        means="The measurements themselves, each in the unit of its method.",
        normal="stable.",
        hint="a step: look at what changed upstream at that moment.",
        empty=NO_VERDICT,
    )
    return time_series(about, Query(f"max by (model, signal, feature, method) ({SCORE})", LABELS))


def threshold() -> SdkPanel:
    """Threshold."""
    about = About(
        title="Threshold",
        unit="none",
        means="What each score may be. It is wider for small windows, where chance moves more.",
        normal="stable while the number of rows is.",
        hint="too wide to see anything: longer windows, or a larger alarm budget in loop.yaml.",
        empty=NO_VERDICT,
    )
    return time_series(about, Query(f"max by (model, signal, feature, method) ({THRESHOLD})", LABELS))
