"""Request rate, errors, outcomes received."""

from __future__ import annotations

from dashboards.parts.palette import OUTCOMES
from dashboards.parts.panel import About, SdkPanel, rising, single_value, time_series
from dashboards.parts.query import MODEL, Query, rate

REQUESTS = "homeostat_inference_request_duration_seconds"
NO_REQUEST = "No request in the last minutes: POST one to :8000/predict, or check the callers."


def requests() -> SdkPanel:
    """Requests per second, by outcome."""
    about = About(
        title="Requests per second, by outcome",
        unit="reqps",
        shows="Requests that were answered, refused (client error) or failed (server error).",
        normal="nearly all answered, none failed.",
        hint="failed: see the server's log. refused: the error message tells the caller what to fix.",
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
        shows="Predictions by version. A new release takes over within seconds.",
        normal="one version at a time for each model.",
        hint="two for long: a server has not loaded the release, see `Generation served`.",
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
        shows="Responses with HTTP status 400 or above.",
        normal="none; some 4xx while a new caller is being set up.",
        hint="5xx: the server's log. 503: overloaded or not ready. 422: a value that the manifest does not allow.",
        empty="No error response since the server started. That is fine.",
    )
    return time_series(
        about, Query(rate("homeostat_inference_errors_total", "status", ""), "{{status}}"), stacked=True
    )


def outcomes() -> SdkPanel:
    """Outcomes received per second."""
    about = About(
        title="Outcomes received per second",
        unit="short",
        shows="Outcomes (ground truth) posted for earlier predictions.",
        normal="the rate of predictions, delayed by the time outcomes take.",
        hint=(
            "none while there are predictions: performance cannot be measured, and verdicts become "
            "`insufficient_data`."
        ),
        empty="No outcome yet: POST them to :8000/outcomes with the prediction's id.",
    )
    return time_series(about, Query(rate("homeostat_inference_outcomes_total", "model"), "{{model}}"))


def last_prediction() -> SdkPanel:
    """Last prediction."""
    about = About(
        title="Last prediction",
        unit="s",
        shows="Time since each model last answered a request.",
        normal="the interval between your own requests.",
        hint=(
            "check the callers first, then `homeostat status`. HomeostatNoPredictions fires when expected traffic"
            " stops."
        ),
        empty="No prediction yet, or no server is scraped: deploy a model, send a request, then `homeostat doctor`.",
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
