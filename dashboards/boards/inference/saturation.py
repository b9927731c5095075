"""Saturation: what waits in the server."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, time_series
from dashboards.parts.query import Query, quantile

NO_REQUEST = "No request within the last minutes: POST one to :8000/predict, or look why callers are silent."
NO_SERVER = "No server is scraped: `homeostat status`, then `homeostat doctor`."


def flight() -> SdkPanel:
    """Requests in flight."""
    about = About(
        title="Requests in flight",
        unit="short",
        means="Requests being answered at the moment of the scrape, by server.",
        normal="a few.",
        hint="rising together with the time to answer: more load than this server carries; add a server.",
        empty=NO_SERVER,
    )
    return time_series(
        about, Query("max by (instance) (homeostat_inference_requests_in_flight)", "{{instance}}")
    )


def queued() -> SdkPanel:
    """Calls waiting for a thread."""
    about = About(
        title="Calls waiting for a thread",
        unit="short",
        means="Calls of the model that no thread has taken yet.",
        normal="0.",
        hint="above 0 for long: the CPU or the GPU is the limit.",
        empty=NO_SERVER,
    )
    return time_series(about, Query("max by (instance) (homeostat_inference_calls_queued)", "{{instance}}"))


def wait() -> SdkPanel:
    """Time a call waits, 99 %."""
    about = About(
        title="Time a call waits, 99 %",
        unit="s",
        means="Time between the checked request and the start of the model.",
        normal="next to nothing.",
        hint="close to the time in the model: the server is saturated.",
        empty=NO_REQUEST,
    )
    return time_series(
        about, Query(quantile(0.99, "homeostat_inference_queue_duration_seconds", "model"), "{{model}}")
    )
