"""What happened, as marks on every graph.

The services write drift, fault, release and rollback into Grafana's own store, with the moment and a sentence: these are on.
That needs a Grafana that knows them (a URL and a token). Where there is none, the same moments can be had from the metrics,
a scrape late and without the sentence: these are off, since with both on each moment would be marked twice.
"""

from __future__ import annotations

from typing import Any, cast

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import AnnotationQuery

from dashboards.parts.palette import ANNOTATIONS
from dashboards.parts.query import DATASOURCE, MODEL, Query

TAG = "homeostat"
KEPT = 200  # marks shown at once
FROM_METRICS = {
    "drift": (
        f'max by (model) (homeostat_drift_state{{{MODEL}, state="drift"}}) > 0',
        "last verdict: drift",
    ),
    "data_fault": (
        f'max by (model) (homeostat_drift_state{{{MODEL}, state="data_fault"}}) > 0',
        "last verdict: fault",
    ),
    "release": (
        f"max by (model) (changes(homeostat_retraining_generation{{{MODEL}}}[$__rate_interval])) > 0",
        "another generation is in the release log",
    ),
    "rollback": (
        f'max by (model) (increase(homeostat_retraining_releases_total{{{MODEL}, reason="rollback"}}[$__rate_interval])) > 0',
        "taken back",
    ),
}


def happenings() -> list[Builder[AnnotationQuery]]:
    """All of them, those of Grafana's store first."""
    return [*map(_stored, ANNOTATIONS), *map(_from_metrics, ANNOTATIONS)]


def _stored(kind: str) -> dashboard.AnnotationQuery:
    target = dashboard.AnnotationTarget().limit(KEPT).match_any(False).tags([TAG, kind]).type("tags")
    return (
        dashboard.AnnotationQuery()
        .name(kind.capitalize())
        .datasource(DataSourceRef(type_val="grafana", uid="-- Grafana --"))
        .enable(True)
        .icon_color(ANNOTATIONS[kind])
        # The SDK types every target as a query of a data source; Grafana's own store takes this form.
        .target(cast(Any, target))
    )


def _from_metrics(kind: str) -> dashboard.AnnotationQuery:
    expression, text = FROM_METRICS[kind]
    return (
        dashboard.AnnotationQuery()
        .name(f"{kind.capitalize()} (from metrics)")
        .datasource(DATASOURCE)
        .enable(False)
        .icon_color(ANNOTATIONS[kind])
        .target(Query(expression, "{{model}}").built("Annotation"))
        .expr(expression)
        .title_format("{{model}}")
        .text_format(f"{{{{model}}}}: {text}")
    )
