"""Lag from spool through Kafka to the lake."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, GOOD, GREY
from dashboards.parts.panel import About, SdkPanel, bad_from, state_timeline, time_series
from dashboards.parts.query import Query, quantile

NO_SHIPPER = "No shipper is scraped: `homeostat status`, then `homeostat doctor`."


def kafka_connection() -> SdkPanel:
    """Kafka connection."""
    about = About(
        title="Kafka connection",
        unit="none",
        shows="Whether each shipper reached Kafka in its last round.",
        normal="connected.",
        hint="HomeostatKafkaUnavailable: serving continues and rows stay on the spool; `homeostat doctor` checks the broker.",
        empty=NO_SHIPPER,
    )
    return state_timeline(
        about,
        Query("min by (instance) (homeostat_shipper_kafka_up)", "{{instance}}"),
        words={1: ("reached", GOOD), 0: ("unavailable", BAD)},
    )


def oldest_row() -> SdkPanel:
    """Oldest undelivered row."""
    about = About(
        title="Oldest undelivered row",
        unit="s",
        shows="Age of the oldest row on each spool that Kafka has not acknowledged; 0 if there is none.",
        normal="below two seconds; it grows while Kafka is unavailable, and nothing is lost.",
        hint="HomeostatKafkaUnavailable has a runbook; watch spool usage on the inference board.",
        empty="No shipper is scraped: `homeostat status`, then `homeostat doctor`.",
    )
    return time_series(
        about,
        Query("max by (instance) (homeostat_shipper_oldest_row_age_seconds)", "{{instance}}"),
        steps=bad_from(60),
    )


def backlog() -> SdkPanel:
    """Spool backlog."""
    about = About(
        title="Spool backlog",
        unit="bytes",
        shows="Bytes on each spool that Kafka has not acknowledged.",
        normal="near 0.",
        hint="see spool usage on the inference board.",
        empty=NO_SHIPPER,
    )
    return time_series(about, Query("max by (instance) (homeostat_shipper_backlog_bytes)", "{{instance}}"))


def sink_lag() -> SdkPanel:
    """Sink lag."""
    about = About(
        title="Sink lag",
        unit="short",
        shows="Kafka records that the sink has not read, by topic.",
        normal="near 0, with short peaks.",
        hint="growing: the sink is stuck or too slow; check its log and the prediction log board.",
        empty="No sink is scraped, or it has not reached Kafka yet: `homeostat status`.",
    )
    return time_series(about, Query("sum by (topic) (homeostat_sink_lag_records)", "{{topic}}"))


def log_latency() -> SdkPanel:
    """Log latency."""
    about = About(
        title="Log latency",
        unit="s",
        shows="Time from response to lake of the oldest row of each commit, median and p99.",
        normal="a few seconds; the objective is 60 s.",
        hint="the prediction log board shows whether shipper, Kafka or sink is slow.",
        empty="No commit in the last minutes: there were no predictions, or the sink is stuck.",
    )
    return time_series(
        about,
        Query(quantile(0.99, "homeostat_sink_freshness_seconds", where=""), "99 %"),
        Query(quantile(0.5, "homeostat_sink_freshness_seconds", where=""), "50 %"),
        steps=bad_from(60),
        colors={"99 %": BLUE, "50 %": GREY},
    )
