"""Lag: how far the log is behind, from the spool over Kafka to the lake."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, GOOD, GREY
from dashboards.parts.panel import About, SdkPanel, bad_from, state_timeline, time_series
from dashboards.parts.query import Query, quantile

NO_SHIPPER = "No shipper is scraped: `homeostat status`, then `homeostat doctor`."


def kafka() -> SdkPanel:
    """Kafka reached."""
    about = About(
        title="Kafka reached",
        unit="none",
        means="Whether each shipper's last round reached Kafka.",
        normal="reached.",
        hint="HomeostatKafkaAway: serving goes on and answers gather on the spool; `homeostat doctor` "
        "looks at the broker.",
        empty=NO_SHIPPER,
    )
    return state_timeline(
        about,
        Query("min by (instance) (homeostat_shipper_kafka_up)", "{{instance}}"),
        words={1: ("reached", GOOD), 0: ("away", BAD)},
    )


def age() -> SdkPanel:
    """Oldest answer that Kafka lacks."""
    about = About(
        title="Oldest answer that Kafka lacks",
        unit="s",
        means="Age of the oldest row on each server's spool that the shipper has not delivered; 0 when there is none.",
        normal="below a second or two; while Kafka is away it grows and nothing is lost.",
        hint="HomeostatKafkaAway says what to do; mind how full the spool is (board of the prediction log).",
        empty="No shipper is scraped: `homeostat status`, then `homeostat doctor`.",
    )
    return time_series(
        about,
        Query("max by (instance) (homeostat_shipper_oldest_row_age_seconds)", "{{instance}}"),
        steps=bad_from(60),
    )


def backlog() -> SdkPanel:
    """Bytes that Kafka lacks."""
    about = About(
        title="Bytes that Kafka lacks",
        unit="bytes",
        means="What waits on each spool.",
        normal="near 0.",
        hint="see how full the spool is on the board of inference.",
        empty=NO_SHIPPER,
    )
    return time_series(about, Query("max by (instance) (homeostat_shipper_backlog_bytes)", "{{instance}}"))


def lag() -> SdkPanel:
    """Records that the lake lacks."""
    about = About(
        title="Records that the lake lacks",
        unit="short",
        means="Records in Kafka that the sink has not read, by topic.",
        normal="near 0, with short peaks.",
        hint="if it only grows the sink is stuck or too slow: its log, then the board of the prediction log.",
        empty="No sink is scraped, or it has not reached Kafka yet: `homeostat status`.",
    )
    return time_series(about, Query("sum by (topic) (homeostat_sink_lag_records)", "{{topic}}"))


def fresh() -> SdkPanel:
    """From the answer to the lake."""
    about = About(
        title="From the answer to the lake",
        unit="s",
        means="Age of the oldest row of a commit when it reached the lake: half of the commits, and 99 "
        "of 100, are below the lines.",
        normal="a few seconds; 60 s is promised.",
        hint="the slower of shipper, Kafka and sink shows on the board of the prediction log.",
        empty="No commit within the last minutes: nothing was predicted, or the sink is stuck.",
    )
    return time_series(
        about,
        Query(quantile(0.99, "homeostat_sink_freshness_seconds", where=""), "99 %"),
        Query(quantile(0.5, "homeostat_sink_freshness_seconds", where=""), "50 %"),
        steps=bad_from(60),
        colors={"99 %": BLUE, "50 %": GREY},
    )
