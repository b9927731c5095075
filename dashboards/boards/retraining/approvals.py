"""Approvals, acknowledgements and releases."""

from __future__ import annotations

from dashboards.parts.palette import GOOD, ORANGE
from dashboards.parts.panel import About, SdkPanel, rising, single_value, time_series
from dashboards.parts.query import MODEL, Query, events

NO_SERVICE = "No retraining service is scraped: `homeostat status`, then `homeostat doctor`."


def awaiting_approval() -> SdkPanel:
    """Runs awaiting approval."""
    about = About(
        title="Runs awaiting approval",
        unit="short",
        shows="Runs that are suggested, or that passed the gate and are not approved.",
        normal="0, or what your automation level requires.",
        hint="HomeostatRunWaiting: approve or reject in the console, or `homeostat approve`.",
        empty=NO_SERVICE,
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_retraining_waiting_runs{{{MODEL}}})", "{{model}}"),
        steps=((None, GOOD), (1, ORANGE)),
    )


def unacknowledged() -> SdkPanel:
    """Unacknowledged decisions."""
    about = About(
        title="Unacknowledged decisions",
        unit="short",
        shows="Data faults, failed or refused runs, and unhandled drift that nobody has acknowledged.",
        normal="0.",
        hint="review it, then acknowledge it in the console or with `homeostat acknowledge`.",
        empty=NO_SERVICE,
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_retraining_unacknowledged_decisions{{{MODEL}}})", "{{model}}"),
        steps=((None, GOOD), (1, ORANGE)),
    )


def open_runs() -> SdkPanel:
    """Open runs."""
    about = About(
        title="Open runs",
        unit="short",
        shows="Runs that are active or await approval.",
        normal="0 or 1 per model.",
        hint="see the age beside: an active run ends by `retraining.time_limit`.",
        empty=NO_SERVICE,
    )
    return single_value(about, Query("max(homeostat_retraining_runs_open)", "open"))


def oldest_active_run() -> SdkPanel:
    """Oldest active run."""
    about = About(
        title="Oldest active run",
        unit="s",
        shows="Age of the oldest active run; 0 if there is none. Runs that await approval do not count.",
        normal="minutes, up to `retraining.time_limit`.",
        hint="hours: the training command hangs, or there is no leader (HomeostatNoLeader).",
        empty=NO_SERVICE,
    )
    return single_value(
        about,
        Query("max(homeostat_retraining_oldest_working_run_age_seconds)", "oldest"),
        steps=rising(3600, 86400),
        decimals=0,
    )


def last_release() -> SdkPanel:
    """Last release."""
    about = About(
        title="Last release",
        unit="s",
        shows="Time since the latest release of each model.",
        normal="days to weeks.",
        hint="older than your schedule: the decisions below show what prevents a retraining.",
        empty="Nothing was released yet: deploy a model with `homeostat deploy`.",
    )
    return single_value(
        about,
        Query(
            f"time() - max by (model) (homeostat_retraining_last_release_timestamp_seconds{{{MODEL}}})",
            "{{model}}",
        ),
        decimals=0,
    )


def releases() -> SdkPanel:
    """Releases, by reason."""
    about = About(
        title="Releases, by reason",
        unit="short",
        shows="Releases by reason: deployment, promotion, rollback.",
        normal="few.",
        hint="a rollback: `homeostat why` with the version shows where it came from.",
        empty="No release in this time range. That is the usual case.",
    )
    return time_series(
        about, Query(events("homeostat_retraining_releases_total", "reason"), "{{reason}}"), bars=True
    )
