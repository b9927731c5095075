"""Alerts that ring now."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, bad_from, single_value
from dashboards.parts.query import Query


def count() -> SdkPanel:
    """Alerts ringing."""
    about = About(
        title="Alerts ringing",
        unit="none",
        means="Alerts of Homeostat that Prometheus holds to be firing now.",
        normal="0.",
        hint="Alertmanager names them; docs/runbooks.md has a heading for each: meaning, first look, hint.",
        empty="This Prometheus does not answer: look at the data source.",
    )
    return single_value(
        about,
        Query('count(ALERTS{alertname=~"Homeostat.+", alertstate="firing"}) or vector(0)', "firing"),
        steps=bad_from(1),
    )
