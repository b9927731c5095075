"""The gate, and what the loop is worth."""

from __future__ import annotations

from dashboards.parts.palette import BAD, GOOD
from dashboards.parts.panel import About, SdkPanel, good_from, single_value, time_series
from dashboards.parts.query import MODEL, Query


def gain() -> SdkPanel:
    """Gain at the last gate."""
    about = About(
        title="Gain at the last gate",
        unit="none",
        means="How much lower the challenger's loss was on the same rows: the estimate, and its lower "
        "bound, which must pass the least gain wanted.",
        normal="a lower bound above 0 where a version was promoted.",
        hint="below it the challenger was refused, as it should be; if every one is, look at `gate` "
        "and at the training command.",
        empty="No gate has been reached since retraining started: no run got that far.",
    )
    return time_series(
        about,
        Query(f"max by (model, bound) (homeostat_retraining_gate_gain{{{MODEL}}})", "{{model}} {{bound}}"),
        Query(
            f'max by (model) (homeostat_retraining_gate_gain{{{MODEL}, bound="lower"}}) '
            f"- max by (model) (homeostat_retraining_gate_margin{{{MODEL}}})",
            "{{model}} least wanted",
        ),
        minimum=None,
    )


def margin() -> SdkPanel:
    """Margin at the last gate."""
    about = About(
        title="Margin at the last gate",
        unit="none",
        means="The lower bound less the least gain wanted. Above 0 the gate is passed.",
        normal="either way; only a long row of refusals is a sign.",
        hint="HomeostatGateRefusing says what to look at.",
        empty="No gate has been reached since the service started: no run got that far.",
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_retraining_gate_margin{{{MODEL}}})", "{{model}}"),
        steps=good_from(0),
        decimals=4,
    )


def worth() -> SdkPanel:
    """Loss: first version left alone, and what was served."""
    about = About(
        title="Loss: first version left alone, and what was served",
        unit="none",
        means="On the same newest rows with outcomes: the loss of the first released version, had nobody "
        "touched it, and of what was served. The gap is what the loop is worth.",
        normal="served at or below frozen; equal until the first retraining.",
        hint="served above frozen: a release was a mistake on today's data. `homeostat rollback`, and "
        "look at the gate's rows.",
        empty="Not known yet: it needs a judged window whose outcomes have arrived.",
    )
    return time_series(
        about,
        Query(f"max by (model) (homeostat_retraining_frozen_loss{{{MODEL}}})", "{{model}} frozen"),
        Query(f"max by (model) (homeostat_retraining_served_loss{{{MODEL}}})", "{{model}} served"),
        minimum=None,
    )


def saved() -> SdkPanel:
    """Gained by the loop."""
    about = About(
        title="Gained by the loop",
        unit="percentunit",
        means="The share of the frozen version's loss that the served one saves on the same rows.",
        normal="0 at first, then above.",
        hint="below 0: see the panel beside.",
        empty="Not known yet: it needs a judged window whose outcomes have arrived.",
    )
    share = (
        f"1 - max by (model) (homeostat_retraining_served_loss{{{MODEL}}}) "
        f"/ max by (model) (homeostat_retraining_frozen_loss{{{MODEL}}})"
    )
    return single_value(about, Query(share, "{{model}}"), steps=((None, BAD), (0, GOOD)), decimals=1)
