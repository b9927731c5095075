"""`shadow_policies`: what each takes from the armed policy, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.loop_spec import LoopSpec
from shared.contracts.policies.shadow_policy import retraining_of
from tests.fakes.retraining_installation import loop_with


def spec(*policies: dict[str, Any]) -> LoopSpec:
    return LoopSpec.model_validate(loop_with(shadow_policies=list(policies)))


def test_keys_that_are_left_out_are_those_of_the_armed_policy() -> None:
    loop = spec({"name": "weekly", "retraining": {"cooldown": "7d"}})
    assert loop.retraining is not None
    whole = retraining_of(loop.shadow_policies[0], loop.retraining)
    assert whole.cooldown == timedelta(days=7)
    assert whole.triggers == loop.retraining.triggers
    again = LoopSpec.model_validate(loop.model_dump(mode="json"))
    assert again == loop
    assert "shadow_policies" not in LoopSpec.model_validate(loop_with()).model_dump(mode="json")


@pytest.mark.parametrize(
    ("policies", "problem"),
    [
        ([{"name": "a", "retraining": {}}, {"name": "a", "retraining": {}}], "names a twice"),
        ([{"name": "armed", "retraining": {}}], "choose another name"),
        ([{"name": f"p{number}", "retraining": {}} for number in range(9)], "at most 8"),
        ([{"name": "a", "retraining": {"command": ["true"]}}], "Extra inputs are not permitted"),
    ],
)
def test_wrong_policies_are_refused(policies: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        spec(*policies)


def test_floor_of_a_shadow_policy_needs_the_floor_of_the_metric() -> None:
    changed = loop_with(shadow_policies=[{"name": "a", "retraining": {"triggers": [{"when": "floor"}]}}])
    with pytest.raises(ValueError, match=r"needs metric\.floor"):
        LoopSpec.model_validate({**changed, "metric": {"name": "log_loss"}})
