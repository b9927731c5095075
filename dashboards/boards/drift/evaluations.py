"""Examinations: how long they take, what failed, what waits to be sent."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, ORANGE
from dashboards.parts.panel import About, SdkPanel, bad_from, single_value, time_series
from dashboards.parts.query import Query, events, rare_quantile

NO_DRIFT = "No drift service is scraped: `homeostat status`, then `homeostat doctor`."


def examination() -> SdkPanel:
    """Slowest tenth of examinations."""
    about = About(
        title="Slowest tenth of examinations",
        unit="s",
        means="Nine of ten windows of this time range were read and judged faster.",
        normal="below a few seconds.",
        hint="slow: the lake's store, or very large windows.",
        empty="No window was judged within this time range: take a longer one, or see `Is it on time`.",
    )
    return single_value(
        about,
        Query(rare_quantile(0.9, "homeostat_drift_examination_seconds", "model"), "{{model}}"),
        decimals=2,
    )


def failures() -> SdkPanel:
    """Looks that failed."""
    about = About(
        title="Looks that failed",
        unit="short",
        means="Looks at a model that ended in an error; they are done again.",
        normal="none.",
        hint="drift's log names the error; one model's trouble does not stop the others.",
        empty="No look has failed since drift started. That is as it should be.",
    )
    return time_series(
        about, Query(events("homeostat_drift_failures_total", "model"), "{{model}}"), bars=True
    )


def unpublished() -> SdkPanel:
    """Verdicts the topic lacks."""
    about = About(
        title="Verdicts the topic lacks",
        unit="short",
        means="Verdicts that are stored and that Kafka has not acknowledged, so retraining has not heard them from there.",
        normal="0.",
        hint="HomeostatVerdictsUnpublished: Kafka is away; they go out when it is back.",
        empty=NO_DRIFT,
    )
    return single_value(
        about,
        Query("max by (instance) (homeostat_drift_unpublished_verdicts)", "{{instance}}"),
        steps=bad_from(1),
    )


def annotations_sent() -> SdkPanel:
    """Annotations sent to Grafana."""
    about = About(
        title="Annotations sent to Grafana",
        unit="short",
        means="Marks drift wanted to set: sent, dropped (too many waiting, or Grafana away too long) or "
        "refused (by Grafana).",
        normal="all sent, where a Grafana is configured.",
        hint="refused: the token may not write annotations (HOMEOSTAT_GRAFANA_TOKEN). Nothing waits for this.",
        empty="None: no Grafana is configured (HOMEOSTAT_GRAFANA_URL), or nothing was to be marked.",
    )
    return time_series(
        about,
        Query(events("homeostat_drift_annotations_total", "result", ""), "{{result}}"),
        bars=True,
        colors={"sent": BLUE, "dropped": ORANGE, "refused": BAD},
    )
