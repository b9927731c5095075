"""Spool usage, writes, drops."""

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
        shows="How full each server's spool is. Rows stay there until Kafka acknowledges them.",
        normal="near 0; it fills while Kafka is unavailable.",
        hint=(
            "HomeostatSpoolFilling: restore Kafka, or raise HOMEOSTAT_INFERENCE_SPOOL_BYTES. At 1, rows are "
            "dropped and counted."
        ),
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
        shows="Rows written to the spool before the response was sent.",
        normal="equal to the rate of answered rows.",
        hint="lower: rows are dropped, see the panel beside.",
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
        shows="Rows that could not be logged: the spool or the disk was full, or a row too old. They got answers or 503.",
        normal="none.",
        hint="HomeostatRowsDropped: free disk space. The gap stays visible in the sequence numbers.",
        empty="No row was dropped since the server started. That is fine.",
    )
    return time_series(
        about,
        Query(events("homeostat_inference_spool_dropped_rows_total", "kind, model"), "{{kind}} {{model}}"),
        bars=True,
    )
