"""How far evaluation is behind."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, rising, single_value, time_series
from dashboards.parts.query import MODEL, Query, rare_quantile

NO_VERDICT = (
    "No verdict yet: the first window is not complete, or its outcomes are not due; see `homeostat status`."
)


def last() -> SdkPanel:
    """Last verdict."""
    about = About(
        title="Last verdict",
        unit="s",
        shows="Time since the last scheduled verdict was stored (system clock).",
        normal="up to one window.",
        hint="longer while windows are due: see the runbook of HomeostatNoVerdicts, and drift's log.",
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


def last_full_poll() -> SdkPanel:
    """Last caught up."""
    about = About(
        title="Last caught up",
        unit="s",
        shows="Time since drift last had no window left to evaluate (system clock).",
        normal="a few seconds, with or without traffic.",
        hint="growing: HomeostatNoVerdicts; drift cannot read the lake, or is working through many windows.",
        empty="Drift has no model yet, or is not scraped: `homeostat status`.",
    )
    return single_value(
        about,
        Query(
            f"time() - max by (model) (homeostat_drift_last_full_poll_timestamp_seconds{{{MODEL}}})",
            "{{model}}",
        ),
        steps=rising(60, 1800),
        decimals=0,
    )


def not_evaluated() -> SdkPanel:
    """Event time not evaluated yet."""
    about = About(
        title="Event time not evaluated yet",
        unit="s",
        shows="From the end of the last evaluated window to the latest event time in the lake.",
        normal="inputs: below one window; performance: below one window plus `outcome.delay`.",
        hint="growing: outcomes are late, or evaluations fail; see failed polls below.",
        empty=NO_VERDICT,
    )
    return time_series(
        about,
        Query(
            f"max by (model) (homeostat_drift_watermark_timestamp_seconds{{{MODEL}}}) - on (model) group_right () "
            f"max by (model, detector) (homeostat_drift_evaluated_until_timestamp_seconds{{{MODEL}}})",
            "{{model}} {{detector}}",
        ),
    )


def delay() -> SdkPanel:
    """Verdict delay p90."""
    about = About(
        title="Verdict delay p90",
        unit="s",
        shows="p90 of the time from the lake holding a complete window to its verdict, in this time range.",
        normal="a few seconds; the objective is 60 s.",
        hint="slow: check evaluation duration and failed polls.",
        empty="No verdict in this time range: the window length is drift.window in loop.yaml.",
    )
    return single_value(
        about,
        Query(rare_quantile(0.9, "homeostat_drift_verdict_delay_seconds", "model"), "{{model}}"),
        steps=rising(60, 300),
        decimals=1,
    )
