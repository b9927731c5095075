"""Losses: rows that are missing, dropped, refused or skipped."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, bad_from, single_value, time_series
from dashboards.parts.query import MODEL, Query, events

NONE_YET = "This never happened since the process started. That is as it should be."


def missing() -> SdkPanel:
    """Rows missing in the lake."""
    about = About(
        title="Rows missing in the lake",
        unit="short",
        means="Sequence numbers that never arrived, in each window: dropped by a writer, dead letters, or lost by Kafka.",
        normal="none.",
        hint="HomeostatRowsMissing: hold it against dropped rows and dead letters; what is left was lost by Kafka.",
        empty=NONE_YET,
    )
    return time_series(
        about,
        Query(events("homeostat_sink_missing_rows_total", "kind, model"), "{{kind}} {{model}}"),
        bars=True,
    )


def dropped() -> SdkPanel:
    """Rows dropped by the writers."""
    about = About(
        title="Rows dropped by the writers",
        unit="short",
        means="Rows that the servers of this machine answered and could not spool, since their spools were made.",
        normal="none.",
        hint="HomeostatRowsDropped: make room on the disk or raise HOMEOSTAT_INFERENCE_SPOOL_BYTES.",
        empty="No writer has dropped a row. That is as it should be.",
    )
    return single_value(
        about,
        Query(
            f"sum by (kind, model) (homeostat_shipper_spool_dropped_rows{{{MODEL}}})", "{{kind}} {{model}}"
        ),
        steps=bad_from(1),
    )


def letters() -> SdkPanel:
    """Dead letters."""
    about = About(
        title="Dead letters",
        unit="short",
        means="Records the sink could not read, and rows the shipper could not send, by reason.",
        normal="none.",
        hint="HomeostatDeadLetters: the table `dead_letters` of the lake has each with its reason.",
        empty=NONE_YET,
    )
    return time_series(
        about,
        Query(events("homeostat_sink_dead_letters_total", "reason", ""), "sink: {{reason}}"),
        Query(events("homeostat_shipper_dead_letter_rows_total", "reason", ""), "shipper: {{reason}}"),
        bars=True,
    )


def skipped() -> SdkPanel:
    """Skipped on the spool."""
    about = About(
        title="Skipped on the spool",
        unit="short",
        means="Torn records (never answered: a process was killed while writing) and broken stretches (answered and lost).",
        normal="none; a torn record after a kill.",
        hint="broken: the disk changed what was written; the gap shows as missing rows.",
        empty=NONE_YET,
    )
    return time_series(
        about, Query(events("homeostat_shipper_skipped_total", "reason", ""), "{{reason}}"), bars=True
    )
