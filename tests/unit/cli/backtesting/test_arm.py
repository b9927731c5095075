from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backtest.policy import policy_digest
from backtest.record import armed, record_results
from cli.main import app
from shared.contracts.loop_yaml import read_loop_spec
from tests.fakes.backtest_project import make_project


def test_a_policy_is_written_with_the_back_test_that_it_was_chosen_by(tmp_path: Path) -> None:
    project, policy = make_project(tmp_path / "project"), tmp_path / "weekly.yaml"
    policy.write_text("retraining:\n  triggers: [{when: schedule, every: 7d}]\n  cooldown: 2d\n")
    before = (project / "loop.yaml").read_text()
    first = CliRunner().invoke(app, ["arm", str(project), str(policy)])
    assert first.exit_code == 0, first.output
    assert "has no back-test" in " ".join(first.output.split())
    loop = read_loop_spec(project)
    retraining = loop.require_performance().retraining
    assert retraining.triggers[0].every.days == 7  # type: ignore[union-attr]
    assert retraining.cooldown.days == 2
    after = (project / "loop.yaml").read_text()
    assert after.startswith("# The model of a test.\n")
    kept = [
        line
        for line in before.splitlines()
        if "schedule" not in line and "every: 10d" not in line and "triggers" not in line
    ]
    assert set(kept) <= set(after.splitlines())

    record_results(project, {policy_digest(loop): {"digest": "f" * 64}})
    again = CliRunner().invoke(app, ["arm", str(project), str(policy), "--json"])
    assert again.exit_code == 0, again.output
    document = json.loads(again.output)
    assert document["policy"] == policy_digest(loop)
    assert document["backtest"] == {"digest": "f" * 64}
    assert armed(project) == {"policy": policy_digest(loop), "result": "f" * 64}
    assert (project / "loop.yaml").read_text() == after


def test_a_wrong_policy_changes_nothing(tmp_path: Path) -> None:
    project, policy = make_project(tmp_path / "project"), tmp_path / "weekly.yaml"
    policy.write_text("retraining: {cooldown: soon}\n")
    before = (project / "loop.yaml").read_text()
    result = CliRunner().invoke(app, ["arm", str(project), str(policy), "--json"])
    assert result.exit_code != 0
    assert "retraining.cooldown" in json.loads(result.output)["error"]
    assert (project / "loop.yaml").read_text() == before
    assert not (project / "backtests.json").exists()


def test_a_file_that_would_say_something_else_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, policy = make_project(tmp_path / "project"), tmp_path / "weekly.yaml"
    policy.write_text("retraining: {cooldown: 4d}\n")
    before = (project / "loop.yaml").read_text()
    monkeypatch.setattr("cli.backtesting.loop_file.with_values", lambda text, path, values: text)
    result = CliRunner().invoke(app, ["arm", str(project), str(policy), "--json"])
    assert result.exit_code != 0
    assert "nothing was changed" in json.loads(result.output)["error"]
    assert (project / "loop.yaml").read_text() == before
