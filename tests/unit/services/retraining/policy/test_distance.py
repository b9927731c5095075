"""How far each trigger is from firing."""

from __future__ import annotations

from typing import Any

import pytest

from services.retraining.policy.decision import History
from services.retraining.policy.distance import TriggerDistance, distance_of
from shared.contracts.verdict import Detector, Score, Verdict
from tests.unit.services.retraining.policy.test_decide import VERSION, at, spec_with, verdict

HISTORY = History(VERSION, trained_at=at(0), rows_since=700)


def of(trigger: dict[str, Any], *newest: Verdict) -> TriggerDistance:
    spec = spec_with(triggers=[trigger])
    [one] = spec.require_performance().retraining.triggers
    verdicts: dict[Detector, Verdict] = {found.detector: found for found in newest}
    return distance_of(one, spec, verdicts, HISTORY, at(10))


@pytest.mark.parametrize(
    ("trigger", "fires", "distance"),
    [
        ({"when": "schedule", "every": "12d"}, False, {"due_at": at(12), "seconds_left": 2 * 86400}),
        ({"when": "schedule", "every": "4d"}, True, {"due_at": at(4), "seconds_left": 0.0}),
        ({"when": "new_rows", "rows": 1000}, False, {"rows_left": 300}),
        ({"when": "floor"}, False, {"loss": 0.5, "loss_left": pytest.approx(0.1)}),
        ({"when": "worse_than_first"}, False, {}),
    ],
)
def test_what_is_missing_is_stated(trigger: dict[str, Any], fires: bool, distance: dict[str, Any]) -> None:
    found = of(trigger, verdict(10, "ok"), verdict(10, "ok", detector="inputs", loss=None))
    assert found.result.fires == fires
    assert found.distance == distance


def test_drift_is_as_near_as_its_highest_score() -> None:
    scores = tuple(
        Score(
            signal=signal, feature=feature, method="wasserstein", value=value, threshold=0.5, exceeded=False
        )
        for signal, feature, value in (("feature", "x", 0.2), ("feature", "y", 0.4), ("prediction", "", 0.45))
    )
    inputs = verdict(10, "ok", detector="inputs", loss=None, scores=scores)
    found = of({"when": "drift", "kinds": ["feature"]}, verdict(10, "ok"), inputs)
    assert found.result.reason == "no feature drift"
    assert (found.distance["feature"], found.distance["share_of_threshold"]) == ("y", pytest.approx(0.8))


def test_trigger_without_a_verdict_has_its_reason() -> None:
    found = of({"when": "floor"})
    assert (found.result.reason, found.distance) == ("no realised log_loss to compare with the floor", {})
