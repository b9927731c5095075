"""Canary and shadow beside the live version: their requests, duration and share."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, time_series
from dashboards.parts.query import MODEL, Query, quantile, rate

NO_SIDE = "No canary or shadow runs. Start one with `homeostat deploy --canary 0.1` or `--shadow 1`."
DURATION = "homeostat_inference_slot_duration_seconds"
DIFFERENCE = "homeostat_inference_shadow_difference"


def requests() -> SdkPanel:
    """Requests by slot."""
    about = About(
        title="Requests by slot",
        unit="reqps",
        shows="Requests by slot and result; of live only while a canary runs, of a shadow copies.",
        normal="canary and shadow answer all of theirs; a canary's share is as released.",
        hint=(
            "failed, non_finite or refused: the live version answered instead; `homeostat rollback` withdraws a canary. "
            "dropped: the shadow is slower than the traffic."
        ),
        empty=NO_SIDE,
    )
    return time_series(
        about,
        Query(rate("homeostat_inference_slot_requests_total", "slot, result"), "{{slot}}: {{result}}"),
    )


def duration() -> SdkPanel:
    """Duration by slot p99."""
    about = About(
        title="Duration by slot p99",
        unit="s",
        shows="p99 of the time to an answer, of live and canary with their queue, of a shadow in its model call.",
        normal="that of the canary is like that of live.",
        hint="a slower canary: compare the sizes of the two versions before you promote it.",
        empty=NO_SIDE,
    )
    return time_series(about, Query(quantile(0.99, DURATION, "slot"), "{{slot}}"))


def share() -> SdkPanel:
    """Share of canary and shadow."""
    about = About(
        title="Share of canary and shadow",
        unit="percentunit",
        shows="Share of the requests that a canary answers, or that are copied to a shadow.",
        normal="as in the release log: `homeostat releases MODEL`.",
        hint="missing after a release: the server cannot load the version; `/status` shows why.",
        empty=NO_SIDE,
    )
    return time_series(
        about,
        Query(f"max by (model, slot) (homeostat_inference_slot_share{{{MODEL}}})", "{{model}} {{slot}}"),
        Query(
            f"max by (model, slot) (homeostat_inference_slot_failed{{{MODEL}}}) > 0",
            "{{model}} {{slot}} cannot be loaded",
        ),
    )


def difference() -> SdkPanel:
    """Difference of the shadow."""
    about = About(
        title="Difference of the shadow p90",
        unit="none",
        shows="p90 of the largest absolute difference between the numbers that shadow and live version answer.",
        normal="of the size by which two versions of this model differ offline.",
        hint="far larger: the shadow gets other inputs than in training, such as another unit.",
        empty=NO_SIDE,
    )
    return time_series(
        about,
        Query(quantile(0.9, DIFFERENCE, "model"), "{{model}}"),
    )
