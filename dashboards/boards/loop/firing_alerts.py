"""Firing alerts."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, bad_from, single_value
from dashboards.parts.query import Query


def count() -> SdkPanel:
    """Alerts firing."""
    about = About(
        title="Alerts firing",
        unit="none",
        shows="Homeostat alerts that are firing in Prometheus now.",
        normal="0.",
        hint="Alertmanager lists them; docs/runbooks.md has a section for each.",
        empty="No answer from this Prometheus: check the data source.",
    )
    return single_value(
        about,
        Query('count(ALERTS{alertname=~"Homeostat.+", alertstate="firing"}) or vector(0)', "firing"),
        steps=bad_from(1),
    )
