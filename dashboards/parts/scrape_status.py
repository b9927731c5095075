"""Processes: whether they answer Prometheus."""

from __future__ import annotations

from dashboards.parts.palette import BAD, GOOD
from dashboards.parts.panel import About, SdkPanel, state_timeline
from dashboards.parts.query import Query

UP = {1: ("up", GOOD), 0: ("down", BAD)}


def scraped(what: str, expression: str, legend: str) -> SdkPanel:
    """Processes that answer Prometheus; `what` says in a person's words which."""
    about = About(
        title="Processes that answer Prometheus",
        unit="none",
        means=f"Whether Prometheus could scrape each {what}.",
        normal="all up.",
        hint="HomeostatTargetDown: `homeostat status` shows the process, its log says why it ended.",
        empty="Prometheus does not know this job: its configuration lacks it.",
    )
    return state_timeline(about, Query(expression, legend), words=UP)
