from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from backtest.policy import policy_digest, project_policy, read_policy
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from shared.errors import ProjectError
from tests.fakes.retraining_installation import loop_with


def loop(**retraining: object) -> LoopSpec:
    import yaml

    return parse_loop_spec(yaml.safe_dump(loop_with(retraining=retraining)))


def policy_file(folder: Path, text: str) -> Path:
    path = folder / "weekly.yaml"
    path.write_text(text)
    return path


def test_a_policy_changes_the_keys_that_it_gives(tmp_path: Path) -> None:
    base = loop(cooldown="3d")
    found = read_policy(
        policy_file(
            tmp_path, "retraining:\n  triggers: [{when: schedule, every: 7d}]\ncosts: {training: 5}\n"
        ),
        base,
    )
    retraining = found.loop.require_performance().retraining
    assert found.name == "weekly"
    assert [trigger.when for trigger in retraining.triggers] == ["schedule"]
    assert retraining.cooldown == timedelta(days=3)
    assert retraining.command == ("python", "train.py")
    assert (found.costs.training, found.costs.loss) == (5, 1)
    same = found.loop.model_copy(update={"retraining": base.retraining, "costs": None})
    assert same == base


def test_without_costs_trainings_cost_nothing() -> None:
    costs = project_policy(loop()).costs
    assert (costs.training, costs.loss) == (0, 1)


def test_the_digest_is_of_the_policy_alone() -> None:
    assert policy_digest(loop(cooldown="24h")) == policy_digest(loop(cooldown="1d", time_limit="9m"))
    assert policy_digest(loop(cooldown="24h")) != policy_digest(loop(cooldown="25h"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("gate: {holdout: 9d}", "has gate; a policy has"),
        ("retraining: {command: [python, other.py]}", "has retraining.command; a policy has"),
        ("retraining: 5", "has no mapping in retraining"),
        ("", "has no keys"),
        ("retraining: {", "is not YAML"),
        ("retraining: {cooldown: soon}", "retraining.cooldown"),
        ("costs: {training: -1}", "costs.training"),
    ],
)
def test_anything_else_is_refused_with_the_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ProjectError, match=problem):
        read_policy(policy_file(tmp_path, text), loop())
