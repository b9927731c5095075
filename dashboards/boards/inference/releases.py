"""Releases served by each server, and swaps."""

from __future__ import annotations

from dashboards.parts.palette import BAD, GOOD
from dashboards.parts.panel import (
    About,
    SdkPanel,
    bad_from,
    latest,
    rising,
    single_value,
    state_timeline,
    time_series,
)
from dashboards.parts.query import MODEL, Query, events, rare_quantile

NO_SERVER = "No server is scraped: `homeostat status`, then `homeostat doctor`."
NO_MODEL = "Nothing is served: deploy a model with `homeostat deploy`."


def generation() -> SdkPanel:
    """Generation served, by server."""
    about = About(
        title="Generation served, by server",
        unit="none",
        shows="The generation each server serves, and the latest in the release log.",
        normal="all change within seconds of the log.",
        hint=(
            "a server that stays behind cannot load the release (HomeostatReleaseNotServed) or cannot read the "
            "log (HomeostatServersDisagree)."
        ),
        empty=NO_MODEL,
    )
    return state_timeline(
        about,
        Query(
            f"max by (model, instance) (homeostat_inference_generation{{{MODEL}}})",
            "{{model}} on {{instance}}",
        ),
        Query(f"max by (model) (homeostat_retraining_generation{{{MODEL}}})", "{{model}} release log"),
    )


def failed() -> SdkPanel:
    """Failed releases."""
    about = About(
        title="Failed releases",
        unit="none",
        shows="1 while a server cannot load the latest release; it keeps serving the previous version.",
        normal="0.",
        hint="HomeostatReleaseNotServed: the server's `/status` shows the error; fix it or run `homeostat rollback`.",
        empty=NO_MODEL,
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_inference_release_failed{{{MODEL}}})", "{{model}}"),
        steps=bad_from(1),
    )


def swaps() -> SdkPanel:
    """Swaps."""
    about = About(
        title="Swaps",
        unit="short",
        shows="Attempts to serve a new release, by result.",
        normal="one served per release and server.",
        hint="failed: the server's `/status` shows the error; loading is retried with increasing delays.",
        empty="No swap in this time range: nothing was released.",
    )
    return time_series(
        about,
        Query(events("homeostat_inference_swaps_total", "result"), "{{result}}"),
        bars=True,
        colors={"served": GOOD, "failed": BAD},
    )


def duration() -> SdkPanel:
    """Swap duration p90."""
    about = About(
        title="Swap duration p90",
        unit="s",
        shows="p90 of the time from seeing a release to serving it, in this time range.",
        normal="one or two seconds.",
        hint="slow: a large version, slow storage, or CPU contention.",
        empty="No swap in this time range: nothing was released.",
    )
    return single_value(
        about,
        Query(rare_quantile(0.9, "homeostat_inference_swap_duration_seconds", "model"), "{{model}}"),
        decimals=1,
    )


def versions_in_memory() -> SdkPanel:
    """Versions in memory."""
    about = About(
        title="Versions in memory",
        unit="short",
        shows="One per model; more while a replaced version finishes its requests.",
        normal="1.",
        hint="more for long: a request does not end; see requests in flight.",
        empty=NO_MODEL,
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_inference_loaded_versions{{{MODEL}}})", "{{model}}"),
        steps=((None, GOOD), (3, BAD)),
    )


def log_last_read() -> SdkPanel:
    """Release log last read."""
    about = About(
        title="Release log last read",
        unit="s",
        shows="Time since each server last read the release log.",
        normal="a few seconds.",
        hint="growing: the model store is unavailable; the server keeps serving its current version.",
        empty=NO_SERVER,
    )
    return single_value(
        about,
        Query("max by (instance) (homeostat_inference_release_log_age_seconds)", "{{instance}}"),
        steps=rising(30, 300),
        decimals=0,
    )


def version() -> SdkPanel:
    """Version served."""
    about = About(
        title="Version served",
        unit="none",
        shows="The version of each generation (first twelve characters of its digest) and its device.",
        normal="one version per model on all servers.",
        hint="`homeostat why` with the version shows where it came from; `homeostat rollback` serves the previous one.",
        empty=NO_MODEL,
    )
    return latest(
        about,
        Query(f"max by (model, instance, version, device) (homeostat_inference_model_info{{{MODEL}}})"),
        {"model": "Model", "instance": "Server", "version": "Version", "device": "Device"},
    )
