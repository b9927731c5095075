"""Models that are loaded on demand: their memory, and what requests wait for."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, time_series
from dashboards.parts.query import Query, events

NO_BOUND = "No model is loaded on demand: set HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB to bound the memory of many models."


def memory() -> SdkPanel:
    """Memory of models."""
    about = About(
        title="Memory of models",
        unit="bytes",
        shows="Memory of the loaded models, measured when each was loaded, and its bound.",
        normal="below the bound.",
        hint="at the bound with many loads: see the panel `Requests that wait for loads`.",
        empty=NO_BOUND,
    )
    return time_series(
        about,
        Query("max by (instance) (homeostat_inference_model_memory_bytes)", "{{instance}}: loaded"),
        Query("max by (instance) (homeostat_inference_model_memory_bound_bytes)", "{{instance}}: bound"),
    )


def models() -> SdkPanel:
    """Models in memory."""
    about = About(
        title="Models in memory",
        unit="short",
        shows="Models with a live version: those in memory, and those that the next request loads.",
        normal="all loaded without a memory bound.",
        hint="unloaded models take no memory; their next request waits for a load.",
        empty="No server is scraped: `homeostat status`, then `homeostat doctor`.",
    )
    return time_series(
        about, Query("max by (instance, state) (homeostat_inference_models)", "{{instance}}: {{state}}")
    )


def loads() -> SdkPanel:
    """Loads on demand."""
    about = About(
        title="Loads on demand",
        unit="short",
        shows="Models loaded because a request needed them, failed loads, requests refused meanwhile (timed_out), and unloads.",
        normal="a few loads when rarely used models are asked.",
        hint="failed: the error is on inference's `/status`. timed_out: HOMEOSTAT_INFERENCE_LOAD_SECONDS is too short.",
        empty=NO_BOUND,
    )
    return time_series(
        about,
        Query(events("homeostat_inference_demand_loads_total", "result"), "{{result}}"),
        Query(events("homeostat_inference_unloads_total", "instance"), "{{instance}}: unloaded"),
    )


def waiting() -> SdkPanel:
    """Requests that wait for loads."""
    about = About(
        title="Requests that wait for loads",
        unit="short",
        shows="Loads on demand that are waited for at a time, on average.",
        normal="close to 0.",
        hint="above 0.5: more models are in use than fit (HomeostatModelsThrashing); raise the bound, or add servers.",
        empty=NO_BOUND,
    )
    return time_series(
        about,
        Query(
            "sum by (instance) (rate(homeostat_inference_demand_load_duration_seconds_sum[$__rate_interval]))",
            "{{instance}}",
        ),
    )
