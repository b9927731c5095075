"""How far a trigger is from firing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.retraining.policy.decision import History
from services.retraining.policy.triggers import TriggerResult, evaluate_trigger, last_training, measures
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.retraining_spec import (
    DriftTrigger,
    FloorTrigger,
    NewRowsTrigger,
    ScheduleTrigger,
    Trigger,
)
from shared.contracts.verdict import Detector, Verdict


@dataclass(frozen=True)
class TriggerDistance:
    """The newest evaluation of a trigger. `distance`: what is missing, by name; empty where it is not known."""

    trigger: Trigger
    result: TriggerResult
    distance: Mapping[str, Any]


def distance_of(
    trigger: Trigger, spec: LoopSpec, newest: Mapping[Detector, Verdict], history: History, now: datetime
) -> TriggerDistance:
    """Evaluate a trigger with the newest verdicts on the served version, by detector."""
    fitting: list[Verdict | None] = [
        verdict for detector, verdict in newest.items() if measures(trigger, detector)
    ]
    results = [
        (verdict, evaluate_trigger(trigger, spec, verdict, history, now)) for verdict in fitting or [None]
    ]
    verdict, result = next((one for one in results if one[1].fires), results[0])
    return TriggerDistance(trigger, result, _distance(trigger, spec, verdict, history, now))


def _distance(
    trigger: Trigger, spec: LoopSpec, verdict: Verdict | None, history: History, now: datetime
) -> dict[str, Any]:
    if isinstance(trigger, ScheduleTrigger):
        since = last_training(history)
        if since is None:
            return {}
        due = since + trigger.every
        return {"due_at": due, "seconds_left": max(0.0, (due - now).total_seconds())}
    if isinstance(trigger, NewRowsTrigger):
        counted = history.rows_since
        return {} if counted is None else {"rows_left": max(0, trigger.rows - counted)}
    if verdict is None:
        return {}
    if isinstance(trigger, FloorTrigger):
        metric = spec.require_performance().metric
        if verdict.loss is None or metric.floor is None:
            return {}
        return {"loss": verdict.loss, "loss_left": max(0.0, metric.floor - verdict.loss)}
    if isinstance(trigger, DriftTrigger):
        scores = [one for one in verdict.scores if one.signal in trigger.kinds and one.threshold > 0]
        if scores:
            nearest = max(scores, key=lambda one: one.value / one.threshold)
            return {
                "signal": nearest.signal,
                "feature": nearest.feature,
                "value": nearest.value,
                "threshold": nearest.threshold,
                "share_of_threshold": nearest.value / nearest.threshold,
            }
    return {}
