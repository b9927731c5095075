"""Decisions: what policy made of each cause."""

from __future__ import annotations

from dashboards.parts.palette import BAD, BLUE, ORANGE, VERBS
from dashboards.parts.panel import About, SdkPanel, time_series
from dashboards.parts.query import Query, events


def verbs() -> SdkPanel:
    """Decisions, by verb."""
    about = About(
        title="Decisions, by verb",
        unit="short",
        means="One decision per cause: retrain, suggest, or wait.",
        normal="wait at nearly every window.",
        hint="suggest: a person is asked. Never a decision while verdicts come: see what was heard, below.",
        empty="No decision within this time range: no cause arrived.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_decisions_total", "verb"), "{{verb}}"),
        bars=True,
        colors=VERBS,
    )


def reasons() -> SdkPanel:
    """Decisions, by reason."""
    about = About(
        title="Decisions, by reason",
        unit="short",
        means="The first question that was answered with no, or the trigger that fired.",
        normal="healthy.",
        hint="cooling_down and budget_spent are brakes of loop.yaml; bad_data asks for a sound source; "
        "no_project for `homeostat deploy`.",
        empty="No decision within this time range: no cause arrived.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_decisions_total", "model, reason"), "{{model}} {{reason}}"),
        bars=True,
    )


def repeats() -> SdkPanel:
    """Causes heard again."""
    about = About(
        title="Causes heard again",
        unit="short",
        means="Deliveries of a cause that was decided before: by Kafka and by an alert, or an alert sent "
        "again. They change nothing.",
        normal="some.",
        hint="nothing: one cause is one decision.",
        empty="No cause was heard twice since the service started. That is well, too.",
    )
    return time_series(
        about, Query(events("homeostat_retraining_repeated_causes_total", "model"), "{{model}}"), bars=True
    )


def heard() -> SdkPanel:
    """Verdicts heard."""
    about = About(
        title="Verdicts heard",
        unit="short",
        means="Records read from the verdicts topic: heard, unreadable, or refused.",
        normal="one heard per verdict.",
        hint="unreadable or refused: the log has the record's place; drift and retraining may be of different versions.",
        empty="No verdict was read within this time range: drift reached none.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_verdicts_total", "result", ""), "{{result}}"),
        bars=True,
        colors={"heard": BLUE, "unreadable": BAD, "refused": ORANGE},
    )


def verbs_and_reasons() -> SdkPanel:
    """Decisions, by reason."""
    about = About(
        title="Decisions, by reason",
        unit="none",
        means="What policy made of each cause (a verdict, an alert, a person's request): retrain, suggest or wait, and why.",
        normal="`wait: healthy` at each window; a `retrain` now and then.",
        hint="`homeostat why` with the cause tells the whole chain. What waits for a person shows in the console.",
        empty="No decision within this time range: no verdict was reached and nobody asked.",
    )
    return time_series(
        about,
        Query(events("homeostat_retraining_decisions_total", "verb, reason"), "{{verb}}: {{reason}}"),
        bars=True,
    )
