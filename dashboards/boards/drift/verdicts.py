"""Verdicts: what drift concluded."""

from __future__ import annotations

from dashboards.parts.palette import STATES
from dashboards.parts.panel import About, SdkPanel, latest, state_timeline, time_series
from dashboards.parts.query import MODEL, Query, events

NO_VERDICT = (
    "No verdict yet: the first window is not complete, or its outcomes are not due. `homeostat "
    "status` says how far it is."
)
STATE_NUMBERS = {number: (state, STATES[state]) for number, state in enumerate(STATES, start=1)}


def _numbers() -> Query:
    """The state of the last verdict of each model, as the number of its word; of several drifts that agree, still that one."""
    parts = " or ".join(
        f'homeostat_drift_state{{{MODEL}, state="{word}"}} * {number}'
        for number, (word, _) in STATE_NUMBERS.items()
    )
    return Query(f"max by (model) ({parts})", "{{model}}")


def state() -> SdkPanel:
    """Last verdict."""
    about = About(
        title="Last verdict",
        unit="none",
        means="What drift concluded about the last window: ok, warming (too little known), blind (cannot "
        "see), drift, fault (bad data).",
        normal="ok; warming after a release.",
        hint="drift: see the decisions below. fault: mend the source of the data, nothing is retrained "
        "on it. blind: send outcomes.",
        empty="No model is examined: drift knows none before the first release.",
    )
    return state_timeline(about, _numbers(), words=STATE_NUMBERS)


def counts() -> SdkPanel:
    """Verdicts, by state."""
    about = About(
        title="Verdicts, by state",
        unit="short",
        means="Verdicts reached, also those a person asked for.",
        normal="one ok per window.",
        hint="many drift verdicts without a retraining: the board of retraining gives the reason.",
        empty="No verdict within this time range: windows are as long as drift.window in loop.yaml says.",
    )
    return time_series(
        about, Query(events("homeostat_drift_verdicts_total", "state"), "{{state}}"), bars=True, colors=STATES
    )


def last() -> SdkPanel:
    """The verdict behind the figures."""
    about = About(
        title="The verdict behind the figures",
        unit="none",
        means="The id of the last verdict. `homeostat why` tells what came of it; drift's `/reports/` "
        "and the id shows the distributions.",
        normal="a new one at the end of each window.",
        hint="the same for long: see how far the examination is, below.",
        empty=NO_VERDICT,
    )
    return latest(
        about,
        Query(f"max by (model, state, detector, verdict_id) (homeostat_drift_last_verdict_info{{{MODEL}}})"),
        {"model": "Model", "state": "State", "detector": "Detector", "verdict_id": "Verdict"},
    )
