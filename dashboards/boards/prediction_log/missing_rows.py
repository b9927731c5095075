"""Rows that are missing, dropped, dead letters, skipped, or far from their stream."""

from __future__ import annotations

from dashboards.parts.panel import About, SdkPanel, bad_from, single_value, time_series
from dashboards.parts.query import MODEL, Query, events

NONE_YET = "None since the process started. That is fine."


def missing() -> SdkPanel:
    """Rows missing in the lake."""
    about = About(
        title="Rows missing in the lake",
        unit="short",
        shows="Sequence numbers that never reached the lake: dropped by a server, dead letters, or lost by Kafka.",
        normal="none.",
        hint="HomeostatRowsMissing: compare with dropped rows and dead letters; the remainder was lost by Kafka.",
        empty=NONE_YET,
    )
    return time_series(
        about,
        Query(events("homeostat_sink_missing_rows_total", "kind, model"), "{{kind}} {{model}}"),
        bars=True,
    )


def dropped() -> SdkPanel:
    """Rows dropped by servers."""
    about = About(
        title="Rows dropped by servers",
        unit="short",
        shows="Rows that could not be written to the spool since it was created. They were answered, or refused (503).",
        normal="none.",
        hint="HomeostatRowsDropped: free disk space or raise HOMEOSTAT_INFERENCE_SPOOL_BYTES.",
        empty="No row has been dropped. That is fine.",
    )
    return single_value(
        about,
        Query(
            f"sum by (kind, model) (homeostat_shipper_spool_dropped_rows{{{MODEL}}})", "{{kind}} {{model}}"
        ),
        steps=bad_from(1),
    )


def dead_letters() -> SdkPanel:
    """Dead letters."""
    about = About(
        title="Dead letters",
        unit="short",
        shows="Records that the sink could not read and rows that the shipper could not send, by reason.",
        normal="none.",
        hint="HomeostatDeadLetters: `homeostat log dead-letters list` shows them; `replay` sends them again.",
        empty=NONE_YET,
    )
    return time_series(
        about,
        Query(events("homeostat_sink_dead_letters_total", "reason", ""), "sink: {{reason}}"),
        Query(events("homeostat_shipper_dead_letter_rows_total", "reason", ""), "shipper: {{reason}}"),
        bars=True,
    )


def far_off() -> SdkPanel:
    """Rows with times far from their stream."""
    about = About(
        title="Rows with times far off",
        unit="short",
        shows="Rows whose time is further than event_time.bound from their stream. Those ahead move no watermark.",
        normal="none.",
        hint="HomeostatTimesFarOff: `homeostat log watermark MODEL` shows them.",
        empty=NONE_YET,
    )
    return time_series(
        about,
        Query(
            events("homeostat_sink_far_off_rows_total", "kind, model, side"), "{{kind}} {{model}} {{side}}"
        ),
        bars=True,
    )


def skipped() -> SdkPanel:
    """Skipped spool records."""
    about = About(
        title="Skipped spool records",
        unit="short",
        shows=(
            "Torn records (the process was killed while writing; never answered) and corrupt ranges (answered and"
            " lost)."
        ),
        normal="none; a torn record after a kill.",
        hint="corrupt: the disk changed the data; the gap appears as missing rows.",
        empty=NONE_YET,
    )
    return time_series(
        about, Query(events("homeostat_shipper_skipped_total", "reason", ""), "{{reason}}"), bars=True
    )
