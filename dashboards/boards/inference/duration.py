"""Duration: how long answers and calls of the model take, and how large requests are."""

from __future__ import annotations

from dashboards.parts.palette import BLUE, GREY
from dashboards.parts.panel import About, SdkPanel, bad_from, time_series
from dashboards.parts.query import MODEL, Query, quantile

REQUESTS = "homeostat_inference_request_duration_seconds"
NO_REQUEST = "No request within the last minutes: POST one to :8000/predict, or look why callers are silent."
SHARES = ((0.99, "99 %"), (0.9, "90 %"), (0.5, "50 %"))


def answer() -> SdkPanel:
    """Time to answer."""
    about = About(
        title="Time to answer",
        unit="s",
        means="From the whole body to the whole answer: half of the answers are faster than the lower "
        "line, 99 of 100 faster than the upper.",
        normal="the 99 % line below 0.1 s, which is promised.",
        hint="the board of inference shows whether the model, the queue or the disk takes the time.",
        empty="No answer within the last minutes: POST a request to :8000/predict.",
    )
    return time_series(
        about,
        *(
            Query(quantile(share, REQUESTS, where=f'{MODEL}, outcome="answered"'), name)
            for share, name in SHARES
        ),
        steps=bad_from(0.1),
    )


def versions() -> SdkPanel:
    """Time to answer, 99 %, by version."""
    about = About(
        title="Time to answer, 99 %, by version",
        unit="s",
        means="Whether a new version is slower than the one before.",
        normal="alike.",
        hint="slower: `gate.maximum_latency_ratio` in loop.yaml is the brake; `homeostat rollback` takes it back.",
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


def call() -> SdkPanel:
    """Time in the model, 99 %."""
    about = About(
        title="Time in the model, 99 %",
        unit="s",
        means="One call of the model in its runtime, by device.",
        normal="most of the time to answer.",
        hint="high: a heavier model, or a machine short of CPU. Low while answers are slow: the queue, "
        "or the disk of the spool.",
        empty=NO_REQUEST,
    )
    return time_series(
        about,
        Query(
            quantile(0.99, "homeostat_inference_call_duration_seconds", "model, device"),
            "{{model}} on {{device}}",
        ),
    )


def size() -> SdkPanel:
    """Rows per request."""
    about = About(
        title="Rows per request",
        unit="short",
        means="How large requests are: half are smaller than the lower line, 99 of 100 than the upper.",
        normal="what your callers send.",
        hint="a few huge requests slow all others: ask in smaller pieces.",
        empty=NO_REQUEST,
    )
    return time_series(
        about,
        Query(quantile(0.99, "homeostat_inference_batch_rows"), "99 %"),
        Query(quantile(0.5, "homeostat_inference_batch_rows"), "50 %"),
        colors={"99 %": BLUE, "50 %": GREY},
    )
