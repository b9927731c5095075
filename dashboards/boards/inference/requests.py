"""Requests: how many, how they ended, and when the last one came."""

from __future__ import annotations

from dashboards.parts.palette import OUTCOMES
from dashboards.parts.panel import About, SdkPanel, rising, single_value, time_series
from dashboards.parts.query import MODEL, Query, rate

REQUESTS = "homeostat_inference_request_duration_seconds"
NO_REQUEST = "No request within the last minutes: POST one to :8000/predict, or look why callers are silent."


def requests() -> SdkPanel:
    """Requests per second, by outcome."""
    about = About(
        title="Requests per second, by outcome",
        unit="reqps",
        means="Answered, refused (the caller's mistake) and failed (ours).",
        normal="nearly all answered, none failed.",
        hint="failed: the server's log. refused: the message of the answer tells the caller what to mend.",
        empty="No request yet: POST one to :8000/predict.",
    )
    return time_series(
        about, Query(rate(f"{REQUESTS}_count", "outcome"), "{{outcome}}"), stacked=True, colors=OUTCOMES
    )


def rows() -> SdkPanel:
    """Rows answered per second, by version."""
    about = About(
        title="Rows answered per second, by version",
        unit="short",
        means="Predictions made. After a release the next version takes over within seconds.",
        normal="one version at a time for each model.",
        hint="two for long: a server has not taken the release, see `Generation served`.",
        empty=NO_REQUEST,
    )
    return time_series(
        about,
        Query(rate("homeostat_inference_rows_total", "model, version"), "{{model}} {{version}}"),
        stacked=True,
    )


def errors() -> SdkPanel:
    """Errors per second, by status."""
    about = About(
        title="Errors per second, by status",
        unit="reqps",
        means="Answers with an HTTP status from 400 on.",
        normal="none; some 4xx while a new caller learns the inputs.",
        hint="5xx: the server's log. 503: too much at once or not ready. 422: a value the manifest does not allow.",
        empty="No request was answered with an error since the server started. That is as it should be.",
    )
    return time_series(
        about, Query(rate("homeostat_inference_errors_total", "status", ""), "{{status}}"), stacked=True
    )


def outcomes() -> SdkPanel:
    """Outcomes received per second."""
    about = About(
        title="Outcomes received per second",
        unit="short",
        means="The truth about earlier predictions, as callers told it.",
        normal="the rate of predictions, as much later as outcomes take in your world.",
        hint="none while predictions go on: performance cannot be seen, and drift will say `insufficient_data`.",
        empty="No outcome yet: POST them to :8000/outcomes under the prediction's id.",
    )
    return time_series(about, Query(rate("homeostat_inference_outcomes_total", "model"), "{{model}}"))


def last_prediction() -> SdkPanel:
    """Last prediction."""
    about = About(
        title="Last prediction",
        unit="s",
        means="How long ago each model last answered a request.",
        normal="as long as the pauses between your own requests.",
        hint="look at the callers first, then `homeostat status`. HomeostatNoPredictions rings when a "
        "model that was asked is not.",
        empty="Nothing was ever predicted, or no server is scraped: deploy a model, send a request, then "
        "`homeostat doctor`.",
    )
    return single_value(
        about,
        Query(
            f"time() - max by (model) (homeostat_inference_last_prediction_timestamp_seconds{{{MODEL}}})",
            "{{model}}",
        ),
        steps=rising(300, 3600),
        decimals=0,
    )
