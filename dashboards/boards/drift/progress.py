"""Progress: how far the examination is, and how late."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, rising, single_value, time_series
from dashboards.parts.query import MODEL, Query, rare_quantile

NO_VERDICT = (
    "No verdict yet: the first window is not complete, or its outcomes are not due. `homeostat "
    "status` says how far it is."
)


def last() -> SdkPanel:
    """Last verdict reached."""
    about = About(
        title="Last verdict reached",
        unit="s",
        means="How long ago, by the clock on the wall, the last verdict was stored.",
        normal="up to the length of a window.",
        hint="longer while windows are due: HomeostatNoVerdicts, and drift's log.",
        empty=NO_VERDICT,
    )
    return single_value(
        about,
        Query(
            f"time() - max by (model) (homeostat_drift_last_verdict_timestamp_seconds{{{MODEL}}})",
            "{{model}}",
        ),
        decimals=0,
    )


def through() -> SdkPanel:
    """Through with what is due."""
    about = About(
        title="Through with what is due",
        unit="s",
        means="How long ago, by the clock on the wall, drift last had no window left that could be judged.",
        normal="some seconds, with or without traffic, however long windows are.",
        hint="growing: HomeostatNoVerdicts; drift cannot look at the lake, or works off many windows.",
        empty="Drift knows no model yet, or is not scraped: `homeostat status`.",
    )
    return single_value(
        about,
        Query(
            f"time() - max by (model) (homeostat_drift_caught_up_timestamp_seconds{{{MODEL}}})",
            "{{model}}",
        ),
        steps=rising(60, 1800),
        decimals=0,
    )


def behind() -> SdkPanel:
    """Event time not judged yet."""
    about = About(
        title="Event time not judged yet",
        unit="s",
        means="From the end of the last judged window to the newest event time in the lake.",
        normal="below a window plus `outcome.delay`.",
        hint="growing: outcomes are late, or the examination fails; see the failures below.",
        empty=NO_VERDICT,
    )
    return time_series(
        about,
        Query(
            f"max by (model) (homeostat_drift_watermark_timestamp_seconds{{{MODEL}}}) - max by (model) "
            f"(homeostat_drift_examined_until_timestamp_seconds{{{MODEL}}})",
            "{{model}}",
        ),
    )


def delay() -> SdkPanel:
    """Slowest tenth of verdicts."""
    about = About(
        title="Slowest tenth of verdicts",
        unit="s",
        means="Nine of ten verdicts of this time range were stored sooner after the lake held their whole window.",
        normal="some seconds; 60 s is promised.",
        hint="slow: see how long an examination takes, and whether looks fail.",
        empty="No verdict within this time range: windows are as long as drift.window in loop.yaml says.",
    )
    return single_value(
        about,
        Query(rare_quantile(0.9, "homeostat_drift_verdict_delay_seconds", "model"), "{{model}}"),
        steps=rising(60, 300),
        decimals=1,
    )
