"""Releases: what each server serves, and how the last swaps went."""

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
        means="The number of the release each server answers with, and the newest in the release log.",
        normal="all bands change together, seconds after the log.",
        hint="a server that stays behind cannot load the release (HomeostatReleaseNotServed) or does "
        "not see it (HomeostatServersDisagree).",
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
    """Releases that cannot be served."""
    about = About(
        title="Releases that cannot be served",
        unit="none",
        means="1 while the newest release cannot be loaded on a server; the version before serves on.",
        normal="0.",
        hint="HomeostatReleaseNotServed: `/status` of the server says why; mend it or `homeostat rollback`.",
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
        means="Attempts to serve a new release: served or failed.",
        normal="one served per release and server.",
        hint="failed: `/status` of the server says why; it is tried again with growing pauses.",
        empty="No swap within this time range: nothing was released.",
    )
    return time_series(
        about,
        Query(events("homeostat_inference_swaps_total", "result"), "{{result}}"),
        bars=True,
        colors={"served": GOOD, "failed": BAD},
    )


def duration() -> SdkPanel:
    """Slowest tenth of swaps."""
    about = About(
        title="Slowest tenth of swaps",
        unit="s",
        means="Nine of ten swaps in this time range took less, from seeing the release to serving it.",
        normal="a second or two.",
        hint="slow: a large version, a slow store, or a machine short of CPU.",
        empty="No swap within this time range: nothing was released.",
    )
    return single_value(
        about,
        Query(rare_quantile(0.9, "homeostat_inference_swap_duration_seconds", "model"), "{{model}}"),
        decimals=1,
    )


def loaded() -> SdkPanel:
    """Versions in memory."""
    about = About(
        title="Versions in memory",
        unit="short",
        means="One per model, or more while a replaced one finishes its requests.",
        normal="1.",
        hint="more for long: a request never ends; look at requests in flight.",
        empty=NO_MODEL,
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_inference_loaded_versions{{{MODEL}}})", "{{model}}"),
        steps=((None, GOOD), (3, BAD)),
    )


def age() -> SdkPanel:
    """Release log last read."""
    about = About(
        title="Release log last read",
        unit="s",
        means="How long ago each server last read the release log.",
        normal="a few seconds.",
        hint="growing: the model store is away; the server serves on what it has.",
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
        means="The version behind each generation, by the first twelve characters of its name, and the device it runs on.",
        normal="one version per model on all servers.",
        hint="`homeostat why` with the version tells where it came from; `homeostat rollback` takes it back.",
        empty=NO_MODEL,
    )
    return latest(
        about,
        Query(f"max by (model, instance, version, device) (homeostat_inference_model_info{{{MODEL}}})"),
        {"model": "Model", "instance": "Server", "version": "Version", "device": "Device"},
    )
