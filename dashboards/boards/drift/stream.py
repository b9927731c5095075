"""Stream detection: evidence, alarms and their conclusions, broken values, and whether the stream is read."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, GOOD, GREY, ORANGE
from dashboards.parts.panel import About, SdkPanel, rising, single_value, time_series
from dashboards.parts.query import MODEL, Query, events, quantile

NO_STREAM = "No row was counted yet: no predictions since drift started, no released model, or `HOMEOSTAT_DRIFT_STREAM` is false."


def evidence() -> SdkPanel:
    """Evidence of drift ÷ threshold."""
    about = About(
        title="Evidence of drift ÷ threshold",
        unit="none",
        shows="Evidence of the stream detectors after the last tile, relative to its threshold: the highest of all columns; of "
        "performance after the last window whose outcomes were due.",
        normal="below 1.",
        hint="at 1 an alarm is raised; Evidently then compares the rows since the estimated onset with the reference, except for "
        "performance, which is a verdict at once.",
        empty=NO_STREAM,
    )
    return time_series(
        about,
        Query(
            f"max by (model, signal) (homeostat_drift_stream_evidence_ratio{{{MODEL}}})",
            "{{model}} {{signal}}",
        ),
        Query(f"max by (model) (homeostat_drift_error_evidence_ratio{{{MODEL}}})", "{{model}} performance"),
        steps=((None, GOOD), (1, BAD)),
    )


def faulty_values() -> SdkPanel:
    """Faulty values."""
    about = About(
        title="Missing, infinite, out-of-range, new and invalid values",
        unit="percentunit",
        shows="Share of such values in the last tile: the highest of all columns.",
        normal="as in the reference.",
        hint="a step: something upstream changed. A data fault is reported within seconds and names the columns.",
        empty=NO_STREAM,
    )
    return time_series(
        about,
        Query(
            f"max by (model, fault) (homeostat_drift_stream_faulty_values_ratio{{{MODEL}}})",
            "{{model}} {{fault}}",
        ),
        maximum=1,
    )


def conclusions() -> SdkPanel:
    """Alarms by conclusion."""
    about = About(
        title="Alarms by conclusion",
        unit="short",
        shows=(
            "Tiles with alarms, by conclusion: `confirmed` gave a verdict, `withdrawn` was not confirmed by Evidently, "
            "`same_cause` belongs to a verdict of the last window."
        ),
        normal="no alarms; `confirmed` ones after real changes.",
        hint="many `withdrawn`: HomeostatStreamFalseAlarms.",
        empty=NO_STREAM,
    )
    return time_series(
        about,
        Query(
            events("homeostat_drift_stream_conclusions_total", "model, conclusion"),
            "{{model}} {{conclusion}}",
        ),
        bars=True,
        colors={"confirmed": ORANGE, "withdrawn": GREY, "same_cause": BLUE},
    )


def false_alarms() -> SdkPanel:
    """False alarms against the budget."""
    about = About(
        title="Withdrawn alarms against the budget",
        unit="short",
        shows=(
            "Withdrawn alarms in this time range, and how many alarms the budget allows without drift in the event time that was "
            "watched."
        ),
        normal="withdrawn ones are few, and not far above the budget.",
        hint="HomeostatStreamFalseAlarms: the reference does not show how the model's inputs vary from day to day.",
        empty=NO_STREAM,
    )
    withdrawn = (
        "sum by (model) (increase(homeostat_drift_stream_conclusions_total"
        f'{{{MODEL}, conclusion="withdrawn"}}[$__range]))'
    )
    allowed = (
        f"sum by (model) (increase(homeostat_drift_stream_false_alarms_expected_total{{{MODEL}}}[$__range]))"
    )
    return single_value(
        about, Query(withdrawn, "{{model}} withdrawn"), Query(allowed, "{{model}} allowed"), decimals=2
    )


def freshness() -> SdkPanel:
    """Record to metric p99."""
    about = About(
        title="Record to metric p99",
        unit="s",
        shows="p99 of the time from a record's Kafka timestamp until these metrics show its rows.",
        normal="below 2 s.",
        hint="longer: records wait, see unread records; drift needs more CPU, or was down.",
        empty="No record was read in this time range: no predictions, or `HOMEOSTAT_DRIFT_STREAM` is false.",
    )
    return time_series(
        about,
        Query(quantile(0.99, "homeostat_drift_stream_event_to_metric_seconds", "", ""), "p99"),
        steps=rising(2, 30),
    )


def lag() -> SdkPanel:
    """Unread records."""
    about = About(
        title="Unread records",
        unit="short",
        shows="Records of the predictions topic that stream detection has not read, and seconds since its last read.",
        normal="near 0.",
        hint="growing: HomeostatStreamLagging; drift needs more CPU, or a new version's thresholds are computed.",
        empty="Stream detection does not run: `HOMEOSTAT_DRIFT_STREAM` is false, or drift is not scraped.",
    )
    return time_series(
        about,
        Query("max by (instance) (homeostat_drift_stream_lag_records)", "{{instance}} records"),
        Query(
            "time() - max by (instance) (homeostat_drift_stream_last_poll_timestamp_seconds > 0)",
            "{{instance}} seconds since the last read",
        ),
    )


def records() -> SdkPanel:
    """Records not counted."""
    about = About(
        title="Records not counted",
        unit="short",
        shows="Records of the predictions topic whose rows the detectors did not count, by reason, and rows that came late.",
        normal="none, or a few `repeated` after a broker outage.",
        hint=(
            "`unauthenticated`: somebody else writes to the topic, or keys differ. `unknown_model`: the model was never released "
            "here. `no_reference`: its version cannot be fetched, see drift's log."
        ),
        empty="Every record was counted. That is fine.",
    )
    return time_series(
        about,
        Query(
            events("homeostat_drift_stream_records_total", "result", 'result!="counted"'),
            "{{result}}",
        ),
        Query(
            events("homeostat_drift_stream_late_rows_total", "model, result"),
            "{{model}} late rows, {{result}}",
        ),
        bars=True,
    )
