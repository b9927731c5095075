"""Throughput of shipper and sink."""

from __future__ import annotations

from dashboards.parts.palette import BLUE, GREY, KINDS
from dashboards.parts.panel import About, SdkPanel, rising, single_value, time_series
from dashboards.parts.query import MODEL, Query, quantile, rate

NO_ROW = "No row since the process started: send a request to :8000/predict."


def last_delivery() -> SdkPanel:
    """Last delivery to Kafka."""
    about = About(
        title="Last delivery to Kafka",
        unit="s",
        shows="Time since each shipper last delivered a row.",
        normal="about the time since the last request.",
        hint="high while requests are answered: Kafka is unavailable, or no shipper runs beside this server.",
        empty="No row was delivered since the shipper started: send a request to :8000/predict.",
    )
    return single_value(
        about,
        Query(
            "time() - max by (instance) (homeostat_shipper_last_delivery_timestamp_seconds > 0)",
            "{{instance}}",
        ),
        steps=rising(300, 3600),
        decimals=0,
    )


def newest_row() -> SdkPanel:
    """Newest row in the lake."""
    about = About(
        title="Newest row in the lake",
        unit="s",
        shows=(
            "Age of the newest row in the lake: since the response for predictions, since it was received for "
            "outcomes."
        ),
        normal="about the time since the last request; for outcomes, since the last one was posted.",
        hint="high for predictions while requests are answered: the log is behind, see the other panels of this row.",
        empty="This sink has not written a row yet: send a request and wait a few seconds.",
    )
    return single_value(
        about,
        Query(f"time() - max by (kind) (homeostat_sink_last_row_timestamp_seconds{{{MODEL}}})", "{{kind}}"),
        steps=rising(300, 3600),
        decimals=0,
    )


def shipped() -> SdkPanel:
    """Rows per second, spool to Kafka."""
    about = About(
        title="Rows per second, spool to Kafka",
        unit="short",
        shows="Rows acknowledged by Kafka, by kind.",
        normal="equal to the rate of answered rows.",
        hint="lower: check Kafka and the lag above.",
        empty=NO_ROW,
    )
    return time_series(about, Query(rate("homeostat_shipper_rows_total", "kind"), "{{kind}}"), colors=KINDS)


def written() -> SdkPanel:
    """Rows per second, Kafka to lake."""
    about = About(
        title="Rows per second, Kafka to lake",
        unit="short",
        shows="Rows written to the lake, by kind.",
        normal="equal to the rate of shipped rows.",
        hint="lower: check the lag above and the sink's log.",
        empty=NO_ROW,
    )
    return time_series(about, Query(rate("homeostat_sink_rows_total", "kind"), "{{kind}}"), colors=KINDS)


def records() -> SdkPanel:
    """Kafka records per second."""
    about = About(
        title="Kafka records per second",
        unit="short",
        shows="Records acknowledged for the shipper and records read by the sink. One record holds many rows.",
        normal="far fewer records than rows.",
        hint="as many records as rows: requests are small and infrequent, which is harmless.",
        empty=NO_ROW,
    )
    return time_series(
        about,
        Query(rate("homeostat_shipper_records_total", "job", ""), "acknowledged"),
        Query(rate("homeostat_sink_records_total", "topic", ""), "read {{topic}}"),
    )


def commit() -> SdkPanel:
    """Commit duration."""
    about = About(
        title="Commit duration",
        unit="s",
        shows="Duration of one commit to one Delta table, median and p99.",
        normal="below one second.",
        hint="slow: the lake's storage is slow; lag grows with it.",
        empty="No commit in the last minutes: there were no predictions, or the sink is stuck.",
    )
    return time_series(
        about,
        Query(quantile(0.99, "homeostat_sink_commit_seconds", where=""), "99 %"),
        Query(quantile(0.5, "homeostat_sink_commit_seconds", where=""), "50 %"),
        colors={"99 %": BLUE, "50 %": GREY},
    )
