"""The states of a run and the transitions between them."""

from __future__ import annotations

from typing import Literal

from shared.contracts.gate.rollout_spec import Rollout

State = Literal[
    "suggested",  # waits for a person to start it
    "queued",
    "snapshotting",
    "training",
    "packaging",
    "evaluating",
    "waiting_for_approval",  # passed the gate; waits for a person to promote it
    "shadowing",  # its version answers copies of requests, and is judged
    "canarying",  # its version answers a share of the requests, and is judged
    "promoting",
    # final states
    "promoted",  # its version was released
    "succeeded",  # passed the gate and stored; automation is `retrain`, so a person may deploy it
    "refused",  # the gate or a phase refused it, the champion changed meanwhile, or nobody approved it in time
    "failed",  # training or packaging failed
    "rejected",  # a person rejected it, or ended its canary or shadow
    "abandoned",  # too little or unfit data, or the service died again and again in one step
]

WORKING: tuple[State, ...] = ("queued", "snapshotting", "training", "packaging", "evaluating", "promoting")
WAITING: tuple[State, ...] = ("suggested", "waiting_for_approval")
# They last for hours or days and need no step, only looks; so they take no place of a run that works.
PHASES: tuple[State, ...] = ("shadowing", "canarying")
OPEN: tuple[State, ...] = (*WORKING, *WAITING, *PHASES)
# Reason code of a run that is abandoned because the service died again and again in one of its steps.
SERVICE_DIED = "service_died"
ENDS: tuple[State, ...] = ("promoted", "succeeded", "refused", "failed", "rejected", "abandoned")

TRANSITIONS: dict[State, tuple[State, ...]] = {
    "suggested": ("queued", "rejected", "refused"),
    "queued": ("snapshotting", "abandoned", "failed"),
    "snapshotting": ("training", "abandoned", "failed"),
    "training": ("packaging", "abandoned", "failed"),
    "packaging": ("evaluating", "abandoned", "failed"),
    "evaluating": (
        *PHASES,
        "promoting",
        "waiting_for_approval",
        "succeeded",
        "refused",
        "abandoned",
        "failed",
    ),
    "waiting_for_approval": (*PHASES, "promoting", "rejected", "refused"),
    "shadowing": ("canarying", "promoting", "refused", "rejected", "failed"),
    "canarying": ("promoting", "refused", "rejected", "failed"),
    "promoting": ("promoted", "refused", "rejected", "abandoned", "failed"),
    "promoted": (),
    "succeeded": (),
    "refused": (),
    "failed": (),
    "rejected": (),
    "abandoned": (),
}


def after_gate(rollout: Rollout, champion: str) -> State:
    """The state of a run that may be promoted: its first phase, if `rollout` has one and there is a live version beside it.

    >>> from datetime import timedelta
    >>> after_gate(Rollout(), "v1"), after_gate(Rollout(shadow=timedelta(hours=1)), "v1")
    ('promoting', 'shadowing')
    """
    if rollout.shadow and champion:
        return "shadowing"
    return after_shadow(rollout) if champion else "promoting"


def after_shadow(rollout: Rollout) -> State:
    """The state after the shadow, or without one."""
    return "promoting" if rollout.canary is None else "canarying"
