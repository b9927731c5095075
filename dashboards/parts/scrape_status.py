"""Whether Prometheus can scrape the processes of a job."""

from __future__ import annotations

from dashboards.parts.palette import BAD, GOOD
from dashboards.parts.panel import About, SdkPanel, state_timeline
from dashboards.parts.query import Query

UP = {1: ("up", GOOD), 0: ("down", BAD)}


def scraped(what: str, expression: str, legend: str) -> SdkPanel:
    """Scrape status."""
    about = About(
        title="Scrape status",
        unit="none",
        shows=f"Whether Prometheus could scrape each {what}.",
        normal="all up.",
        hint="HomeostatTargetDown: `homeostat status` shows the process; its log has the cause.",
        empty="Prometheus has no such job: add it to its configuration.",
    )
    return state_timeline(about, Query(expression, legend), words=UP)
