"""`homeostat why-not`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService

FOUND: dict[str, Any] = {
    "model": "flights",
    "version": "ab" * 32,
    "automation": "auto",
    "event_time": "2013-02-01T10:00:00Z",
    "next_decision": {
        "state": "ok",
        "action": "wait",
        "reason_code": "healthy",
        "reason": "no trigger fired",
    },
    "triggers": [
        {
            "trigger": {"when": "schedule"},
            "fires": False,
            "reason": "10.0 d since the last training, schedule 12.0 d",
            "distance": {"due_at": "2013-02-03T10:00:00Z", "seconds_left": 172800},
        },
        {
            "trigger": {"when": "drift"},
            "fires": False,
            "reason": "no feature drift",
            "distance": {"signal": "feature", "feature": "[temp]", "share_of_threshold": 0.8},
        },
    ],
    "improvable": [{"known": "former", "text": "the former champion b has lost less"}],
    "limits": {
        "refusal": "",
        "cooling_until": "2013-02-02T00:00:00Z",
        "budget": {"runs": 3, "per_seconds": 2592000.0, "used": 1},
        "suggested_runs": [],
        "open_runs": ["run-1"],
    },
    "rows": {"with_outcomes": 900, "required": 1100, "missing": 200},
    "last_decision": {"action": "wait", "reason": "too few rows to evaluate"},
    "last_run": {"run_id": "run-1", "state": "waiting_for_approval"},
    "not_promoted": "run run-1 is waiting_for_approval: better by 0.1",
}


def test_triggers_are_shown_with_their_distance(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /models/flights/why-not"] = (200, FOUND)
    options = ["--retraining-url", service.url, "--home", str(tmp_path)]
    shown = run("why-not", "flights", *options)
    assert shown.exit_code == 0
    for text in (
        "the newest verdict (ok) would give: wait, no trigger fired",
        "2.0 d left, due at 2013-02-03 10:00",
        "80% of the threshold (feature [temp])",
        "improvable: the former champion b has lost less",
        "cooldown: until 2013-02-02 00:00",
        "budget: 1 of 3 runs in 30 d used",
        "open runs: run-1",
        "rows with outcomes: 900, 200 missing of 1100",
        "last decision: wait, too few rows to evaluate",
        "not promoted: run run-1 is waiting_for_approval: better by 0.1",
        "homeostat approve run-1",
    ):
        assert text in shown.stdout
    assert json.loads(run("why-not", "flights", *options, "--json").stdout) == FOUND


def test_model_without_verdict_or_run_is_shown(service: FakeService, tmp_path: Path) -> None:
    bare = {**FOUND, "next_decision": None, "triggers": [], "limits": {}, "rows": {}}
    bare |= {"last_decision": None, "last_run": None, "not_promoted": ""}
    service.answers["GET /models/flights/why-not"] = (200, bare)
    shown = run("why-not", "flights", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 0
    assert "no verdict on the served version yet" in shown.stdout
    assert "no run yet" in shown.stdout
