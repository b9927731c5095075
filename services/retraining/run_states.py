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
    "abandoned",  # ended before training: too little or unfit data
]

WORKING: tuple[State, ...] = ("queued", "snapshotting", "training", "packaging", "evaluating", "promoting")
WAITING: tuple[State, ...] = ("suggested", "waiting_for_approval")
OPEN: tuple[State, ...] = (*WORKING, *WAITING)
ENDS: tuple[State, ...] = ("promoted", "succeeded", "refused", "failed", "rejected", "abandoned")

TRANSITIONS: dict[State, tuple[State, ...]] = {
    "suggested": ("queued", "rejected"),
    "queued": ("snapshotting", "failed"),
    "snapshotting": ("training", "abandoned", "failed"),
    "training": ("packaging", "failed"),
    "packaging": ("evaluating", "failed"),
    "evaluating": ("promoting", "waiting_for_approval", "succeeded", "refused", "failed"),
    "waiting_for_approval": ("promoting", "rejected", "refused"),
    "promoting": ("promoted", "refused", "failed"),
    "promoted": (),
    "succeeded": (),
    "refused": (),
    "failed": (),
    "rejected": (),
    "abandoned": (),
}
