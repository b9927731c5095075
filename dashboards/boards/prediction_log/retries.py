"""Retries, duplicates, conflicts."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, GOOD
from dashboards.parts.panel import About, SdkPanel, single_value, time_series
from dashboards.parts.query import Query, events

NO_SHIPPER = "No shipper is scraped: `homeostat status`, then `homeostat doctor`."
NO_SINK = "No sink is scraped: `homeostat status`, then `homeostat doctor`."
NONE_YET = "None since the process started. That is fine."


def failures() -> SdkPanel:
    """Failed rounds."""
    about = About(
        title="Failed rounds",
        unit="short",
        shows="Rounds of shipper or sink that failed and are retried; nothing is lost.",
        normal="none, or a few while Kafka restarts.",
        hint="many: the process's log has the error.",
        empty="No shipper and no sink is scraped: `homeostat status`.",
    )
    return time_series(
        about,
        Query(events("homeostat_shipper_failures_total", "job", ""), "{{job}}"),
        Query(events("homeostat_sink_failures_total", "job", ""), "{{job}}"),
        bars=True,
    )


def duplicates() -> SdkPanel:
    """Duplicate rows."""
    about = About(
        title="Duplicate rows",
        unit="short",
        shows="Rows that the sink skipped because the lake already has them (at-least-once delivery).",
        normal="none, or some after a kill.",
        hint="constantly: the shipper cannot save its position; check the spool's disk.",
        empty=NONE_YET,
    )
    return time_series(
        about,
        Query(events("homeostat_sink_repeated_rows_total", "kind, model"), "{{kind}} {{model}}"),
        bars=True,
    )


def conflicts() -> SdkPanel:
    """Commit conflicts and compactions."""
    about = About(
        title="Commit conflicts and compactions",
        unit="short",
        shows="Commits refused because another sink committed first, and compactions of tables.",
        normal="no conflicts with one sink; a compaction from time to time.",
        hint="many conflicts: run fewer sinks.",
        empty=NO_SINK,
    )
    return time_series(
        about,
        Query(events("homeostat_sink_conflicts_total", "job", ""), "refused"),
        Query(events("homeostat_sink_compactions_total", "job", ""), "compacted"),
        bars=True,
        colors={"refused": BAD, "compacted": BLUE},
    )


def spool_folders() -> SdkPanel:
    """Spool folders."""
    about = About(
        title="Spool folders",
        unit="short",
        shows="Spool folders that the shipper reads: one per server process.",
        normal="one per server process, plus earlier ones until they are shipped.",
        hint="0: the shipper reads another folder than the server writes (HOMEOSTAT_HOME).",
        empty=NO_SHIPPER,
    )
    return single_value(
        about,
        Query("max by (instance) (homeostat_shipper_writers)", "{{instance}}"),
        steps=((None, BAD), (1, GOOD)),
    )
