"""Verdicts."""

from __future__ import annotations

from dashboards.parts.palette import STATES
from dashboards.parts.panel import About, SdkPanel, latest, state_timeline, time_series
from dashboards.parts.query import MODEL, Query, events

NO_VERDICT = (
    "No verdict yet: the first window is not complete, or its outcomes are not due; see `homeostat status`."
)
STATE_NUMBERS = {number: (state, STATES[state]) for number, state in enumerate(STATES, start=1)}


def _numbers() -> Query:
    """The state of each detector of each model, as the number of its word; of several drifts that agree, still that one."""
    parts = " or ".join(
        f'homeostat_drift_detector_state{{{MODEL}, state="{word}"}} * {number}'
        for number, (word, _) in STATE_NUMBERS.items()
    )
    return Query(f"max by (model, detector) ({parts})", "{{model}} {{detector}}")


def state() -> SdkPanel:
    """Verdict state."""
    about = About(
        title="Verdict state",
        unit="none",
        shows=(
            "The state of inputs and performance: ok, warming_up, drift, data_fault (bad data), insufficient_data "
            "(too few rows or outcomes) or not_judged (outcomes are overdue)."
        ),
        normal="ok; warming_up after a release.",
        hint=(
            "drift: see the decisions. data_fault: fix the data source, no run trains on this window. "
            "insufficient_data and not_judged: post outcomes."
        ),
        empty="No model is monitored: drift starts with the first release.",
    )
    return state_timeline(about, _numbers(), words=STATE_NUMBERS)


def counts() -> SdkPanel:
    """Verdicts, by state."""
    about = About(
        title="Verdicts, by state",
        unit="short",
        shows="Verdicts by state, including those requested by a person.",
        normal="one ok per window.",
        hint="many drift verdicts without a retraining: the retraining board shows the reason.",
        empty="No verdict in this time range: the window length is drift.window in loop.yaml.",
    )
    return time_series(
        about, Query(events("homeostat_drift_verdicts_total", "state"), "{{state}}"), bars=True, colors=STATES
    )


def revisions() -> SdkPanel:
    """Revised verdicts."""
    about = About(
        title="Revised verdicts",
        unit="short",
        shows="Verdicts on performance that late or corrected outcomes changed, by new state.",
        normal="none, or a few where outcomes are corrected.",
        hint="many: `outcome.delay` in loop.yaml is shorter than outcomes take.",
        empty="No verdict was revised in this time range: outcomes arrived within `outcome.delay`.",
    )
    return time_series(
        about,
        Query(events("homeostat_drift_revisions_total", "model, state"), "{{model}} {{state}}"),
        bars=True,
    )


def last() -> SdkPanel:
    """Latest verdict."""
    about = About(
        title="Latest verdict",
        unit="none",
        shows=(
            "The id of the last verdict. `homeostat why` shows its consequences; drift's `/reports/{id}` shows "
            "the distributions."
        ),
        normal="a new one at the end of each window.",
        hint="unchanged for long: see how far the evaluation is, below.",
        empty=NO_VERDICT,
    )
    return latest(
        about,
        Query(f"max by (model, state, detector, verdict_id) (homeostat_drift_last_verdict_info{{{MODEL}}})"),
        {"model": "Model", "state": "State", "detector": "Detector", "verdict_id": "Verdict"},
    )
