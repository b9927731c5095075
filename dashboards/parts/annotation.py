"""Annotations on every graph: drift, data faults, releases and rollbacks.

The services write them into Grafana's own store, with time and text, if a Grafana URL and token are configured: these are on.
The same events can be derived from metrics, one scrape late and without the text: these are off, because with both on each
event would be marked twice.
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
LIMIT = 200  # annotations shown at once
FROM_METRICS = {
    "drift": (
        f'max by (model) (homeostat_drift_state{{{MODEL}, state="drift"}}) > 0',
        "last verdict: drift",
    ),
    "data_fault": (
        f'max by (model) (homeostat_drift_state{{{MODEL}, state="data_fault"}}) > 0',
        "last verdict: data fault",
    ),
    "release": (
        f"max by (model) (changes(homeostat_retraining_generation{{{MODEL}}}[$__rate_interval])) > 0",
        "new generation in the release log",
    ),
    "rollback": (
        f'max by (model) (increase(homeostat_retraining_releases_total{{{MODEL}, reason="rollback"}}[$__rate_interval])) > 0',
        "rolled back",
    ),
}


def all_annotations() -> list[Builder[AnnotationQuery]]:
    """All annotations, those of Grafana's store first."""
    return [*map(_stored, ANNOTATIONS), *map(_from_metrics, ANNOTATIONS)]


def _stored(kind: str) -> dashboard.AnnotationQuery:
    target = dashboard.AnnotationTarget().limit(LIMIT).match_any(False).tags([TAG, kind]).type("tags")
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
