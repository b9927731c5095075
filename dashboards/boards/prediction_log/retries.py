"""Retries: what was done again, refused or left out."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, GOOD
from dashboards.parts.panel import About, SdkPanel, single_value, time_series
from dashboards.parts.query import Query, events

NO_SHIPPER = "No shipper is scraped: `homeostat status`, then `homeostat doctor`."
NO_SINK = "No sink is scraped: `homeostat status`, then `homeostat doctor`."
NONE_YET = "This never happened since the process started. That is as it should be."


def failures() -> SdkPanel:
    """Rounds that failed."""
    about = About(
        title="Rounds that failed",
        unit="short",
        means="Rounds of shipper or sink that ended in an error and are done again; nothing is lost by it.",
        normal="none, or a few while Kafka restarts.",
        hint="many: the log of the process names the error.",
        empty="No shipper and no sink is scraped: `homeostat status`.",
    )
    return time_series(
        about,
        Query(events("homeostat_shipper_failures_total", "job", ""), "{{job}}"),
        Query(events("homeostat_sink_failures_total", "job", ""), "{{job}}"),
        bars=True,
    )


def repeated() -> SdkPanel:
    """Rows that came twice."""
    about = About(
        title="Rows that came twice",
        unit="short",
        means="Rows the sink left out since the lake has them: the price of never losing one.",
        normal="none, or some after a kill.",
        hint="always: the shipper cannot remember what Kafka acknowledged; look at the disk of the spool.",
        empty=NONE_YET,
    )
    return time_series(
        about,
        Query(events("homeostat_sink_repeated_rows_total", "kind, model"), "{{kind}} {{model}}"),
        bars=True,
    )


def conflicts() -> SdkPanel:
    """Commits refused, tables compacted."""
    about = About(
        title="Commits refused, tables compacted",
        unit="short",
        means="Commits refused because another sink was first, and compactions of tables.",
        normal="no refusals with one sink; a compaction now and then.",
        hint="many refusals: fewer sinks, they stand in each other's way.",
        empty=NO_SINK,
    )
    return time_series(
        about,
        Query(events("homeostat_sink_conflicts_total", "job", ""), "refused"),
        Query(events("homeostat_sink_compactions_total", "job", ""), "compacted"),
        bars=True,
        colors={"refused": BAD, "compacted": BLUE},
    )


def writers() -> SdkPanel:
    """Writer folders followed."""
    about = About(
        title="Writer folders followed",
        unit="short",
        means="Spools the shipper carries: one per server process.",
        normal="as many as server processes on the machine, and those before them until they are carried.",
        hint="0: the shipper looks at another folder than the server writes (HOMEOSTAT_HOME).",
        empty=NO_SHIPPER,
    )
    return single_value(
        about,
        Query("max by (instance) (homeostat_shipper_writers)", "{{instance}}"),
        steps=((None, BAD), (1, GOOD)),
    )
