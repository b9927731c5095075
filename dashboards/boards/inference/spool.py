"""The spool: how full it is, what is written and what had to be dropped."""

from __future__ import annotations

from dashboards.parts.palette import KINDS
from dashboards.parts.panel import About, SdkPanel, rising, time_series
from dashboards.parts.query import Query, events, rate

NO_SERVER = "No server is scraped: `homeostat status`, then `homeostat doctor`."


def full() -> SdkPanel:
    """Spool used."""
    about = About(
        title="Spool used",
        unit="percentunit",
        means="How full the spool of each server is. Answers wait there for Kafka.",
        normal="near 0; it fills while Kafka is away.",
        hint="HomeostatSpoolFilling: bring Kafka back, or raise HOMEOSTAT_INFERENCE_SPOOL_BYTES. At 1 "
        "rows are dropped and counted.",
        empty=NO_SERVER,
    )
    return time_series(
        about,
        Query(
            "max by (instance) (homeostat_inference_spool_bytes / (homeostat_inference_spool_bound_bytes > 0))",
            "{{instance}}",
        ),
        steps=rising(0.5, 0.9),
        maximum=1,
    )


def written() -> SdkPanel:
    """Rows spooled per second."""
    about = About(
        title="Rows spooled per second",
        unit="short",
        means="Rows written to disk before their answer was sent.",
        normal="as many as are answered.",
        hint="fewer than answered: rows are dropped, see the panel beside.",
        empty="No row was spooled since the server started: send a request.",
    )
    return time_series(
        about, Query(rate("homeostat_inference_spooled_rows_total", "kind"), "{{kind}}"), colors=KINDS
    )


def dropped() -> SdkPanel:
    """Rows dropped."""
    about = About(
        title="Rows dropped",
        unit="short",
        means="Rows that were answered and could not be logged, because the spool was full or the disk refused.",
        normal="none.",
        hint="HomeostatRowsDropped: make room. The gap stays visible in the sequence numbers.",
        empty="No row was ever dropped by a server that runs. That is as it should be.",
    )
    return time_series(
        about,
        Query(events("homeostat_inference_spool_dropped_rows_total", "kind, model"), "{{kind}} {{model}}"),
        bars=True,
    )
