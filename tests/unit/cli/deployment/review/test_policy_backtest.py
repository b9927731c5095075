from __future__ import annotations

from pathlib import Path

import yaml

from backtest.policy import policy_digest
from backtest.record import record_results
from cli.deployment.review.policy_backtest import backtest_warnings
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.loop_yaml import parse_loop_spec
from tests.fakes.retraining_installation import loop_with


def loop(**changes: object) -> LoopSpec:
    return parse_loop_spec(yaml.safe_dump(loop_with(**changes)))


def test_auto_without_a_back_test_of_this_policy_warns(tmp_path: Path) -> None:
    (warning,) = backtest_warnings(loop(), tmp_path)
    assert warning.text == (
        f"automation: auto, and {tmp_path / 'backtests.json'} has no back-test of this policy; "
        f"try it on past rows: homeostat backtest {tmp_path}"
    )
    record_results(tmp_path, {policy_digest(loop()): {"digest": "1"}})
    assert backtest_warnings(loop(), tmp_path) == []
    assert len(backtest_warnings(loop(retraining={"cooldown": "5d"}), tmp_path)) == 1


def test_nothing_is_said_where_a_person_decides_or_no_run_starts(tmp_path: Path) -> None:
    assert backtest_warnings(loop(automation="approve"), tmp_path) == []
    assert backtest_warnings(loop(retraining={"triggers": []}), tmp_path) == []
