"""Metrics of loop.yaml, and the performance of its slices."""

from __future__ import annotations

from dashboards.boards.drift.scores import ABOVE_THRESHOLD
from dashboards.parts.panel import About, SdkPanel, bars, time_series
from dashboards.parts.query import MODEL, Query

BY = "max by (model, metric, slice)"
SLICE = 'slice!=""'


def metrics() -> SdkPanel:
    """Metrics beside the loss."""
    about = About(
        title="Metrics of the last window",
        unit="none",
        shows="Each of `metrics` and `custom_metrics` over the window, and on the reference. No verdict depends on them.",
        normal="near the reference.",
        hint="far from it while the loss is not: look at the slices.",
        empty="No metric: name some in `metrics` of loop.yaml, and see that outcomes arrive.",
    )
    label = "{{model}} {{metric}}"
    window = f'{BY} (homeostat_drift_performance_metric{{{MODEL},slice=""}})'
    reference = f'{BY} (homeostat_drift_reference_performance_metric{{{MODEL},slice=""}})'
    return time_series(about, Query(window, label), Query(reference, f"{label} reference"), minimum=None)


def slice_metrics() -> SdkPanel:
    """Loss and metrics of slices."""
    about = About(
        title="Slices: loss and metrics",
        unit="none",
        shows="The loss and each of `metrics` and `custom_metrics` of loop.yaml in each slice of the last window.",
        normal="near each other, or apart as they are in the reference.",
        hint="one slice apart: look at what changed there, and whether the training data hold enough of it.",
        empty="No slice: name some in `slices` of loop.yaml; each needs `drift.window.minimum_rows` rows with outcomes.",
    )
    query = f"{BY} (homeostat_drift_performance_metric{{{MODEL},{SLICE}}})"
    return time_series(about, Query(query, "{{model}} {{slice}} {{metric}}"), minimum=None)


def slices() -> SdkPanel:
    """Loss of slices ÷ threshold."""
    score, threshold = (f"homeostat_drift_{name}{{{MODEL},{SLICE}}}" for name in ("score", "threshold"))
    about = About(
        title="Slices: loss ÷ threshold, last window",
        unit="none",
        shows="The loss of each slice divided by its threshold, which is that of the reference's slice plus tolerance and noise.",
        normal="below 1.",
        hint="above 1: performance drift of that slice; policy decides whether to retrain.",
        empty="No slice was judged: each needs `drift.window.minimum_rows` rows with outcomes, in the window and the reference.",
    )
    ratio = f"max by (model, slice) ({score} / ({threshold} > 0))"
    return bars(about, Query(ratio, "{{model}} {{slice}}"), steps=ABOVE_THRESHOLD)
