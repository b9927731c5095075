"""What waits for people, and what was released."""

from __future__ import annotations

from dashboards.parts.palette import GOOD, ORANGE
from dashboards.parts.panel import About, SdkPanel, rising, single_value, time_series
from dashboards.parts.query import MODEL, Query, events

NO_SERVICE = "No retraining service is scraped: `homeostat status`, then `homeostat doctor`."


def waiting() -> SdkPanel:
    """Runs waiting for a person."""
    about = About(
        title="Runs waiting for a person",
        unit="short",
        means="Runs that are suggested, or proven and not yet approved.",
        normal="0, or what your automation level asks you for.",
        hint="HomeostatRunWaiting: approve or reject in the console, or `homeostat approve`.",
        empty=NO_SERVICE,
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_retraining_waiting_runs{{{MODEL}}})", "{{model}}"),
        steps=((None, GOOD), (1, ORANGE)),
    )


def unseen() -> SdkPanel:
    """Decisions nobody has acknowledged."""
    about = About(
        title="Decisions nobody has acknowledged",
        unit="short",
        means="Faults, runs failed or refused, and drift that no run answered, which no person has marked as seen.",
        normal="0.",
        hint="look at it, then acknowledge it in the console or with `homeostat acknowledge`.",
        empty=NO_SERVICE,
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_retraining_unacknowledged_decisions{{{MODEL}}})", "{{model}}"),
        steps=((None, GOOD), (1, ORANGE)),
    )


def opened() -> SdkPanel:
    """Runs open."""
    about = About(
        title="Runs open",
        unit="short",
        means="Runs at work or waiting for a person.",
        normal="0 or 1 per model.",
        hint="see the age beside: a run at work ends by `retraining.time_limit`.",
        empty=NO_SERVICE,
    )
    return single_value(about, Query("max(homeostat_retraining_runs_open)", "open"))


def age() -> SdkPanel:
    """Oldest run at work."""
    about = About(
        title="Oldest run at work",
        unit="s",
        means="How long the oldest run at work has been at it; 0 when there is none. Runs that wait for a person "
        "do not count.",
        normal="minutes, up to `retraining.time_limit`.",
        hint="hours: the training command hangs, or nobody drives (HomeostatNoLeader).",
        empty=NO_SERVICE,
    )
    return single_value(
        about,
        Query("max(homeostat_retraining_oldest_working_run_age_seconds)", "oldest"),
        steps=rising(3600, 86400),
        decimals=0,
    )


def release() -> SdkPanel:
    """Last release."""
    about = About(
        title="Last release",
        unit="s",
        means="How long ago the newest release of each model was made.",
        normal="days to weeks.",
        hint="older than your schedule: the decisions below say what stands against a retraining.",
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
        means="Releases made by this service: deployment, promotion by a run, rollback.",
        normal="few.",
        hint="a rollback: `homeostat why` with the version tells what had made it.",
        empty="No release within this time range. That is the usual case.",
    )
    return time_series(
        about, Query(events("homeostat_retraining_releases_total", "reason"), "{{reason}}"), bars=True
    )
