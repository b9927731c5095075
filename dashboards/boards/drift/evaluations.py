"""Evaluations: duration, failures, unpublished verdicts."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, ORANGE
from dashboards.parts.panel import About, SdkPanel, bad_from, single_value, time_series
from dashboards.parts.query import Query, events, rare_quantile

NO_DRIFT = "No drift service is scraped: `homeostat status`, then `homeostat doctor`."


def duration() -> SdkPanel:
    """Evaluation duration p90."""
    about = About(
        title="Evaluation duration p90",
        unit="s",
        shows="p90 of the time to read and evaluate one window, in this time range.",
        normal="below a few seconds.",
        hint="slow: the lake's storage is slow, or windows are very large.",
        empty="No window was evaluated in this time range: choose a longer one, or see `Timeliness`.",
    )
    return single_value(
        about,
        Query(rare_quantile(0.9, "homeostat_drift_evaluation_seconds", "model"), "{{model}}"),
        decimals=2,
    )


def failures() -> SdkPanel:
    """Failed polls."""
    about = About(
        title="Failed polls",
        unit="short",
        shows="Polls of a model that ended in an error; they are retried.",
        normal="none.",
        hint="drift's log has the error; other models are not affected.",
        empty="No poll has failed since drift started. That is fine.",
    )
    return time_series(
        about, Query(events("homeostat_drift_failures_total", "model"), "{{model}}"), bars=True
    )


def unpublished() -> SdkPanel:
    """Unpublished verdicts."""
    about = About(
        title="Unpublished verdicts",
        unit="short",
        shows="Verdicts in drift's store that Kafka has not acknowledged.",
        normal="0.",
        hint="HomeostatVerdictsUnpublished: Kafka is unavailable; they are sent when it is back.",
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
        shows=(
            "Annotations by result: sent, dropped (queue full, or Grafana unavailable too long) or refused by "
            "Grafana."
        ),
        normal="all sent, if Grafana is configured.",
        hint=(
            "refused: the token needs permission to write annotations (HOMEOSTAT_GRAFANA_TOKEN). Nothing else is "
            "affected."
        ),
        empty="None: Grafana is not configured (HOMEOSTAT_GRAFANA_URL), or there was nothing to annotate.",
    )
    return time_series(
        about,
        Query(events("homeostat_drift_annotations_total", "result", ""), "{{result}}"),
        bars=True,
        colors={"sent": BLUE, "dropped": ORANGE, "refused": BAD},
    )
