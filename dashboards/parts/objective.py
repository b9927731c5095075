"""How fast a service level objective's error budget is being spent, from room for errors and recorded ratios."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import timeseries

from dashboards.parts.palette import BAD, GOOD, WARNING
from dashboards.parts.panel import About, time_series
from dashboards.parts.query import Query

WINDOWS = ("5m", "1h", "6h")
# At this pace thirty days of budget last two days: the pace at which somebody is called.
CALLED = 14.4


@dataclass(frozen=True)
class Objective:
    """A promise over thirty days: the recorded `ratio` of what breaks it, the share that `may`, and the alert that rings."""

    name: str
    ratio: str
    may: float
    promise: str
    alert: str
    empty: str
    by_model: bool = True


AVAILABILITY = Objective(
    name="availability",
    ratio="homeostat:request_errors:ratio_rate",
    may=0.001,
    promise="99.9 % of the requests that are the server's to answer are answered",
    alert="HomeostatAvailabilityBurn",
    empty="No request within the window, so nothing was promised: send one to :8000/predict.",
)
LATENCY = Objective(
    name="latency",
    ratio="homeostat:request_latency_slow:ratio_rate",
    may=0.01,
    promise="99 % of the answers take at most 0.1 s",
    alert="HomeostatLatencyBurn",
    empty="No answer within the window, so nothing was promised: send a request to :8000/predict.",
)
LOG_FRESHNESS = Objective(
    name="log freshness",
    ratio="homeostat:log_stale:ratio_rate",
    may=0.01,
    promise="99 % of the sink's commits hold no row older than 60 s",
    alert="HomeostatLogFreshnessBurn",
    empty="No commit within the window: nothing was predicted, or the sink is stuck (`homeostat doctor`).",
    by_model=False,  # a commit holds rows of several models
)
VERDICT_FRESHNESS = Objective(
    name="verdict freshness",
    ratio="homeostat:verdict_late:ratio_rate",
    may=0.05,
    promise="95 % of the verdicts are stored within 60 s of their window being complete",
    alert="HomeostatVerdictFreshnessBurn",
    empty="No verdict within the window: windows are as long as drift.window in loop.yaml says.",
)


def burn(objective: Objective) -> timeseries.Panel:
    """How many times faster than sustainable the budget is spent, over short and long windows."""
    about = About(
        title=f"Error budget burn: {objective.name}",
        unit="none",
        means=f"Promised over 30 days: {objective.promise}. At 1 the budget for errors lasts exactly those 30 days, at "
        f"{CALLED} it is gone in two. The longer windows show whether a peak matters.",
        normal="below 1.",
        hint=f"{objective.alert} rings when it matters; docs/runbooks.md has its heading.",
        empty=objective.empty,
    )
    legend = " {{model}}" if objective.by_model else ""
    queries = [Query(f"{objective.ratio}{window} / {objective.may}", window + legend) for window in WINDOWS]
    return time_series(about, *queries, steps=((None, GOOD), (1, WARNING), (CALLED, BAD)))
