"""Burn rates of the service level objectives, from recorded error ratios."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders import timeseries

from dashboards.parts.palette import BAD, GOOD, WARNING
from dashboards.parts.panel import About, time_series
from dashboards.parts.query import Query

WINDOWS = ("5m", "1h", "6h")
# At this rate a budget of thirty days is used up in two: the page threshold.
PAGE = 14.4


@dataclass(frozen=True)
class Objective:
    """A service level objective over 30 days: the recorded error `ratio`, the `allowed` share, and its alert."""

    name: str
    ratio: str
    allowed: float
    objective: str
    alert: str
    empty: str
    by_model: bool = True


AVAILABILITY = Objective(
    name="availability",
    ratio="homeostat:request_errors:ratio_rate",
    allowed=0.001,
    objective="99.9 % of the requests succeed (client errors do not count)",
    alert="HomeostatAvailabilityBurn",
    empty="No request in the window: send one to :8000/predict.",
)
LATENCY = Objective(
    name="latency",
    ratio="homeostat:request_latency_slow:ratio_rate",
    allowed=0.01,
    objective="99 % of the responses take at most 0.1 s",
    alert="HomeostatLatencyBurn",
    empty="No response in the window: send a request to :8000/predict.",
)
LOG_FRESHNESS = Objective(
    name="log freshness",
    ratio="homeostat:log_stale:ratio_rate",
    allowed=0.01,
    objective="99 % of the sink's commits contain no row older than 60 s",
    alert="HomeostatLogFreshnessBurn",
    empty="No commit in the window: there were no predictions, or the sink is stuck (`homeostat doctor`).",
    by_model=False,  # a commit holds rows of several models
)
VERDICT_FRESHNESS = Objective(
    name="verdict freshness",
    ratio="homeostat:verdict_late:ratio_rate",
    allowed=0.05,
    objective="95 % of the verdicts are stored within 60 s after their window is complete",
    alert="HomeostatVerdictFreshnessBurn",
    empty="No verdict in the window: the window length is drift.window in loop.yaml.",
)


def burn(objective: Objective) -> timeseries.Panel:
    """Burn rate of the error budget over short and long windows."""
    about = About(
        title=f"Error budget burn: {objective.name}",
        unit="none",
        shows=f"Objective over 30 days: {objective.objective}. At 1 the error budget lasts exactly 30 days, at "
        f"{PAGE} two days. The longer windows show whether a peak matters.",
        normal="below 1.",
        hint=f"{objective.alert} fires when it matters; docs/runbooks.md has its runbook.",
        empty=objective.empty,
    )
    legend = " {{model}}" if objective.by_model else ""
    queries = [
        Query(f"{objective.ratio}{window} / {objective.allowed}", window + legend) for window in WINDOWS
    ]
    return time_series(about, *queries, steps=((None, GOOD), (1, WARNING), (PAGE, BAD)))
