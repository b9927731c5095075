"""Gate results, and the benefit of retraining."""

from __future__ import annotations

from dashboards.parts.palette import BAD, GOOD
from dashboards.parts.panel import About, SdkPanel, bad_from, good_from, single_value, time_series
from dashboards.parts.query import MODEL, Query


def gain() -> SdkPanel:
    """Gain at the last gate."""
    about = About(
        title="Gain at the last gate",
        unit="none",
        shows=(
            "How much lower the challenger's loss was on the same rows: the estimate, its lower confidence bound,"
            " and the minimum gain."
        ),
        normal="a lower bound above the minimum gain when a version was promoted.",
        hint=(
            "below it the challenger was refused. If every challenger is refused, check `gate` in loop.yaml and "
            "the training command."
        ),
        empty="No run has reached the gate since retraining started. That is fine.",
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
        shows="Lower confidence bound minus the minimum gain. Above 0 the gate is passed.",
        normal="either; only repeated refusals are a problem.",
        hint="HomeostatGateRefusing has a runbook.",
        empty="No run has reached the gate since retraining started. That is fine.",
    )
    return single_value(
        about,
        Query(f"max by (model) (homeostat_retraining_gate_margin{{{MODEL}}})", "{{model}}"),
        steps=good_from(0),
        decimals=4,
    )


def baseline_and_served_loss() -> SdkPanel:
    """Loss: first version and served version."""
    about = About(
        title="Loss: first version and served version",
        unit="none",
        shows=(
            "Loss on the latest rows with outcomes: of the first released version, if it had never been replaced,"
            " and of the served version."
        ),
        normal="served at or below the first version; equal until the first retraining.",
        hint="served above the first version: a release made things worse. `homeostat rollback`, then check the gate's holdout.",
        empty="Not known yet: it needs an evaluated window with outcomes.",
    )
    return time_series(
        about,
        Query(f"max by (model) (homeostat_retraining_baseline_loss{{{MODEL}}})", "{{model}} first version"),
        Query(f"max by (model) (homeostat_retraining_served_loss{{{MODEL}}})", "{{model}} served"),
        minimum=None,
    )


def known_version_evidence() -> SdkPanel:
    """Evidence that the served version is worse than the first one, or the former champion."""
    about = About(
        title="Evidence: better is possible",
        unit="percentunit",
        shows=(
            "Evidence, added up over time, that the served version loses more than the first one, or the former champion, on "
            "the same rows."
        ),
        normal="below 100 %.",
        hint=(
            "first at 100 %: there is a decision with the source comparison; `homeostat rollback MODEL --to-generation 1`, or "
            "retrain. former at 100 %: `homeostat why-not MODEL` names both losses; `homeostat rollback MODEL`, or retrain."
        ),
        empty="The first version is served, or none of its successor's windows was judged yet. That is fine.",
    )
    return single_value(
        about,
        Query(
            f"max by (model) (homeostat_retraining_first_version_evidence_ratio{{{MODEL}}})",
            "{{model}} first",
        ),
        Query(
            f"max by (model) (homeostat_retraining_former_version_evidence_ratio{{{MODEL}}})",
            "{{model}} former",
        ),
        steps=bad_from(1),
        decimals=0,
    )


def loss_reduction() -> SdkPanel:
    """Loss reduction by retraining."""
    about = About(
        title="Loss reduction by retraining",
        unit="percentunit",
        shows="How much lower the served version's loss is than the first released version's, on the same rows.",
        normal="0 at first, then above.",
        hint="below 0: see the panel beside.",
        empty="Not known yet: it needs an evaluated window with outcomes.",
    )
    share = (
        f"1 - max by (model) (homeostat_retraining_served_loss{{{MODEL}}}) "
        f"/ max by (model) (homeostat_retraining_baseline_loss{{{MODEL}}})"
    )
    return single_value(about, Query(share, "{{model}}"), steps=((None, BAD), (0, GOOD)), decimals=1)
