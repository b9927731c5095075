"""Decisions."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, ORANGE, VERBS
from dashboards.parts.panel import About, SdkPanel, time_series
from dashboards.parts.query import Query, events


def by_action() -> SdkPanel:
    """Decisions, by action."""
    about = About(
        title="Decisions, by action",
        unit="short",
        shows="One decision per cause: retrain, suggest, or wait.",
        normal="`wait` for nearly every window.",
        hint=(
            "suggest: a run requires approval. No decisions while verdicts are published: see verdicts received, "
            "below."
        ),
        empty="No decision in this time range: no cause was received.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_decisions_total", "action"), "{{action}}"),
        bars=True,
        colors=VERBS,
    )


def by_reason() -> SdkPanel:
    """Decisions, by reason."""
    about = About(
        title="Decisions, by reason",
        unit="short",
        shows="The check that failed, or the trigger that fired.",
        normal="healthy.",
        hint=(
            "no_trigger: drift to which no trigger of loop.yaml reacts; same_incident: a run followed the other detector's "
            "verdict, or had the rows of a revised one; cooling_down and budget_spent are limits of "
            "loop.yaml; bad_data: fix the data source; no_project: run `homeostat deploy`."
        ),
        empty="No decision in this time range: no cause was received.",
    )
    return time_series(
        about,
        Query(
            events("homeostat_retraining_decisions_total", "model, reason_code"), "{{model}} {{reason_code}}"
        ),
        bars=True,
    )


def repeated_causes() -> SdkPanel:
    """Repeated causes."""
    about = About(
        title="Repeated causes",
        unit="short",
        shows=(
            "Deliveries of a cause that was already decided: by Kafka and by an alert, or an alert sent again. "
            "They have no effect."
        ),
        normal="some.",
        hint="none needed: one cause leads to one decision.",
        empty="No cause was delivered twice since the service started. That is fine.",
    )
    return time_series(
        about, Query(events("homeostat_retraining_repeated_causes_total", "model"), "{{model}}"), bars=True
    )


def verdicts_received() -> SdkPanel:
    """Verdicts received."""
    about = About(
        title="Verdicts received",
        unit="short",
        shows="Records read from the verdicts topic, by result.",
        normal="one per verdict.",
        hint="unreadable or refused: the log has the record's offset; drift and retraining may run different versions.",
        empty="No verdict was read in this time range: drift published none.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_verdicts_total", "result", ""), "{{result}}"),
        bars=True,
        colors={"received": BLUE, "unreadable": BAD, "refused": ORANGE},
    )


def by_action_and_reason() -> SdkPanel:
    """Decisions, by reason."""
    about = About(
        title="Decisions, by reason",
        unit="none",
        shows=(
            "The policy's decision about each cause (a verdict, an alert, a person's request): retrain, suggest or "
            "wait, and why."
        ),
        normal="`wait: healthy` at each window; a `retrain` now and then.",
        hint="`homeostat why` with the cause shows the chain. Runs that require approval are in the console.",
        empty="No decision in this time range: there was no verdict and no request.",
    )
    return time_series(
        about,
        Query(
            events("homeostat_retraining_decisions_total", "action, reason_code"),
            "{{action}}: {{reason_code}}",
        ),
        bars=True,
    )
