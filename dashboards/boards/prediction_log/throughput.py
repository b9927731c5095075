"""What shipper and sink carry, and when they last did."""

from __future__ import annotations

from dashboards.parts.palette import BLUE, GREY, KINDS
from dashboards.parts.panel import About, SdkPanel, rising, single_value, time_series
from dashboards.parts.query import MODEL, Query, quantile, rate

NO_ROW = "No row was carried since the process started: send a request to :8000/predict."


def delivered() -> SdkPanel:
    """Last delivery to Kafka."""
    about = About(
        title="Last delivery to Kafka",
        unit="s",
        means="How long ago each shipper last delivered a row.",
        normal="as long as since the last request.",
        hint="old while requests are answered: Kafka is away, or the shipper is not beside this server.",
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


def newest() -> SdkPanel:
    """Newest row in the lake."""
    about = About(
        title="Newest row in the lake",
        unit="s",
        means="How long ago the newest row of the lake was answered (or, for outcomes, arrived).",
        normal="as long as since the last request; outcomes come as late as your world tells them.",
        hint="predictions old while requests are answered: the log is behind, see the panels beside.",
        empty="The lake holds no row that this sink wrote: send a request, wait a few seconds.",
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
        means="Rows Kafka has acknowledged, by kind.",
        normal="as many as are answered.",
        hint="fewer: look at Kafka and at the lag above.",
        empty=NO_ROW,
    )
    return time_series(about, Query(rate("homeostat_shipper_rows_total", "kind"), "{{kind}}"), colors=KINDS)


def written() -> SdkPanel:
    """Rows per second, Kafka to lake."""
    about = About(
        title="Rows per second, Kafka to lake",
        unit="short",
        means="Rows written to the lake, by kind.",
        normal="as many as are shipped.",
        hint="fewer: look at the lag above and the sink's log.",
        empty=NO_ROW,
    )
    return time_series(about, Query(rate("homeostat_sink_rows_total", "kind"), "{{kind}}"), colors=KINDS)


def records() -> SdkPanel:
    """Kafka records per second."""
    about = About(
        title="Kafka records per second",
        unit="short",
        means="Records acknowledged for the shipper, and read by the sink; a record holds many rows.",
        normal="far fewer than rows.",
        hint="as many as rows: requests are small and far apart, which costs little.",
        empty=NO_ROW,
    )
    return time_series(
        about,
        Query(rate("homeostat_shipper_records_total", "job", ""), "acknowledged"),
        Query(rate("homeostat_sink_records_total", "topic", ""), "read {{topic}}"),
    )


def commit() -> SdkPanel:
    """Time of a commit."""
    about = About(
        title="Time of a commit",
        unit="s",
        means="What one commit of one table takes: so many of a hundred are faster than the line.",
        normal="below a second.",
        hint="slow: the store of the lake is; the lag grows with it.",
        empty="No commit within the last minutes: nothing was predicted, or the sink is stuck.",
    )
    return time_series(
        about,
        Query(quantile(0.99, "homeostat_sink_commit_seconds", where=""), "99 %"),
        Query(quantile(0.5, "homeostat_sink_commit_seconds", where=""), "50 %"),
        colors={"99 %": BLUE, "50 %": GREY},
    )
