"""Saturation of the server."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, time_series
from dashboards.parts.query import Query, quantile

NO_REQUEST = "No request in the last minutes: POST one to :8000/predict, or check the callers."
NO_SERVER = "No server is scraped: `homeostat status`, then `homeostat doctor`."


def in_flight() -> SdkPanel:
    """Requests in flight."""
    about = About(
        title="Requests in flight",
        unit="short",
        shows="Requests in progress at scrape time, by server, and the limit beyond which requests get 503.",
        normal="a few.",
        hint="rising together with response time: the server is overloaded; add one.",
        empty=NO_SERVER,
    )
    return time_series(
        about,
        Query("max by (instance) (homeostat_inference_requests_in_flight)", "{{instance}}"),
        Query("max by (instance) (homeostat_inference_requests_in_flight_limit)", "{{instance}}: limit"),
    )


def queued_calls() -> SdkPanel:
    """Queued model calls."""
    about = About(
        title="Queued model calls",
        unit="short",
        shows="Model calls that no thread has started yet.",
        normal="0.",
        hint="above 0 for long: the CPU or the GPU is the bottleneck.",
        empty=NO_SERVER,
    )
    return time_series(about, Query("max by (instance) (homeostat_inference_calls_queued)", "{{instance}}"))


def queue_time() -> SdkPanel:
    """Queue time p99."""
    about = About(
        title="Queue time p99",
        unit="s",
        shows="Time from the validated request to the start of the model call.",
        normal="close to 0.",
        hint="close to the model call time: the server is saturated.",
        empty=NO_REQUEST,
    )
    return time_series(
        about, Query(quantile(0.99, "homeostat_inference_queue_duration_seconds", "model"), "{{model}}")
    )
