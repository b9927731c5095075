"""The states of a run and the transitions between them."""

from __future__ import annotations

from typing import Literal

State = Literal[
    "suggested",  # waits for a person to start it
    "queued",
    "snapshotting",
    "training",
    "packaging",
    "evaluating",
    "waiting_for_approval",  # passed the gate; waits for a person to promote it
    "promoting",
    # final states
    "promoted",  # its version was released
    "succeeded",  # passed the gate and stored; automation is `retrain`, so a person may deploy it
    "refused",  # the gate refused it, or the champion changed meanwhile
    "failed",  # training or packaging failed
    "rejected",  # a person rejected it
    "abandoned",  # too little or unfit data, or the service died again and again in one step
]

WORKING: tuple[State, ...] = ("queued", "snapshotting", "training", "packaging", "evaluating", "promoting")
WAITING: tuple[State, ...] = ("suggested", "waiting_for_approval")
OPEN: tuple[State, ...] = (*WORKING, *WAITING)
# Reason code of a run that is abandoned because the service died again and again in one of its steps.
SERVICE_DIED = "service_died"
ENDS: tuple[State, ...] = ("promoted", "succeeded", "refused", "failed", "rejected", "abandoned")

TRANSITIONS: dict[State, tuple[State, ...]] = {
    "suggested": ("queued", "rejected"),
    "queued": ("snapshotting", "abandoned", "failed"),
    "snapshotting": ("training", "abandoned", "failed"),
    "training": ("packaging", "abandoned", "failed"),
    "packaging": ("evaluating", "abandoned", "failed"),
    "evaluating": ("promoting", "waiting_for_approval", "succeeded", "refused", "abandoned", "failed"),
    "waiting_for_approval": ("promoting", "rejected", "refused"),
    "promoting": ("promoted", "refused", "abandoned", "failed"),
    "promoted": (),
    "succeeded": (),
    "refused": (),
    "failed": (),
    "rejected": (),
    "abandoned": (),
}
