"""Response time, model call time, request size."""

from __future__ import annotations

from dashboards.parts.palette import BLUE, GREY
from dashboards.parts.panel import About, SdkPanel, bad_from, time_series
from dashboards.parts.query import MODEL, Query, quantile

REQUESTS = "homeostat_inference_request_duration_seconds"
NO_REQUEST = "No request in the last minutes: POST one to :8000/predict, or check the callers."
SHARES = ((0.99, "99 %"), (0.9, "90 %"), (0.5, "50 %"))


def response_time() -> SdkPanel:
    """Response time."""
    about = About(
        title="Response time",
        unit="s",
        shows="From the complete request body to the complete response: p50, p90 and p99.",
        normal="p99 below 0.1 s, the objective.",
        hint="the inference board shows whether the model, the queue or the disk is slow.",
        empty="No response in the last minutes: POST a request to :8000/predict.",
    )
    return time_series(
        about,
        *(
            Query(quantile(share, REQUESTS, where=f'{MODEL}, outcome="answered"'), name)
            for share, name in SHARES
        ),
        steps=bad_from(0.1),
    )


def response_time_by_version() -> SdkPanel:
    """Response time p99, by version."""
    about = About(
        title="Response time p99, by version",
        unit="s",
        shows="Whether a new version is slower than the previous one.",
        normal="similar.",
        hint="slower: `homeostat rollback`; `gate.maximum_latency_ratio` in loop.yaml limits it for the next run.",
        empty=NO_REQUEST,
    )
    return time_series(
        about,
        Query(
            quantile(0.99, REQUESTS, "model, version", f'{MODEL}, outcome="answered"'),
            "{{model}} {{version}}",
        ),
        steps=bad_from(0.1),
    )


def model_call() -> SdkPanel:
    """Model call p99."""
    about = About(
        title="Model call p99",
        unit="s",
        shows="Duration of one call of the model in its runtime, by device.",
        normal="most of the response time.",
        hint="high: a heavier model, or CPU contention. Low while responses are slow: the queue, or the spool's disk.",
        empty=NO_REQUEST,
    )
    return time_series(
        about,
        Query(
            quantile(0.99, "homeostat_inference_call_duration_seconds", "model, device"),
            "{{model}} on {{device}}",
        ),
    )


def request_size() -> SdkPanel:
    """Rows per request."""
    about = About(
        title="Rows per request",
        unit="short",
        shows="Size of requests, median and p99.",
        normal="what your callers send.",
        hint="a few very large requests slow down all others: split them.",
        empty=NO_REQUEST,
    )
    return time_series(
        about,
        Query(quantile(0.99, "homeostat_inference_batch_rows"), "99 %"),
        Query(quantile(0.5, "homeostat_inference_batch_rows"), "50 %"),
        colors={"99 %": BLUE, "50 %": GREY},
    )
