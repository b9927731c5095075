"""`homeostat whatif`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService

DECISION = {
    "verdict_id": "1",
    "detector": "performance",
    "state": "drift",
    "window_end": "2013-02-01T10:00:00Z",
    "action": "retrain",
    "reason_code": "drift",
    "reason": "performance drift: [loss] rose",
    "logged_action": "wait",
    "logged_reason_code": "no_trigger",
}
FOUND: dict[str, Any] = {
    "model": "flights",
    "verdicts": 2,
    "runs": 1,
    "logged_runs": 0,
    "reasons": {"drift": 1, "healthy": 1},
    "decisions": [DECISION, {**DECISION, "action": "wait", "reason": "all is well"}],
}


def test_runs_of_a_policy_are_shown(service: FakeService, tmp_path: Path) -> None:
    service.answers["POST /models/flights/what-if"] = (200, FOUND)
    policy = tmp_path / "weekly.yaml"
    policy.write_text("retraining: {cooldown: 7d}\n")
    options = ["--policy", str(policy), "--retraining-url", service.url, "--home", str(tmp_path)]
    shown = run("whatif", "flights", *options)
    assert shown.exit_code == 0
    assert service.asked[-1] == (
        "POST /models/flights/what-if?limit=10000",
        {"retraining": {"cooldown": "7d"}},
    )
    assert "on 2 verdicts of flights: 1 runs, was 0; drift 1, healthy 1" in shown.stdout
    assert "performance drift: [loss] rose" in shown.stdout
    assert "all is well" not in shown.stdout
    assert json.loads(run("whatif", "flights", *options, "--json").stdout) == {"policy": str(policy), **FOUND}


def test_unreadable_policy_is_named(service: FakeService, tmp_path: Path) -> None:
    shown = run("whatif", "flights", "--policy", str(tmp_path / "no.yaml"), "--retraining-url", service.url)
    assert shown.exit_code != 0
    assert "no.yaml cannot be read" in shown.stderr
