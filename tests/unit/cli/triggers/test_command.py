"""`homeostat trigger`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService

DECIDED: dict[str, Any] = {
    "cause_key": "a" * 32,
    "action": "suggest",
    "reason_code": "requested",
    "reason": "requested by ada",
    "run_id": "run-1",
    "new": True,
}


def trigger(service: FakeService, home: Path, *words: str) -> Result:
    return run("trigger", *words, "--actor", "ada", "--retraining-url", service.url, "--home", str(home))


def test_request_is_sent_and_its_decision_shown(service: FakeService, tmp_path: Path) -> None:
    service.answers["POST /triggers"] = (202, {"causes": [DECIDED], "ignored": []})
    shown = trigger(service, tmp_path, "flights", "--reason", "new depot", "--key", "ticket 7")
    assert shown.exit_code == 0, shown.output
    sent = {"model": "flights", "reason": "new depot", "actor": "ada", "key": "ticket 7"}
    assert service.asked[-1] == ("POST /triggers", sent)
    assert "flights: suggest, requested by ada" in shown.stdout
    assert "`homeostat approve run-1" in " ".join(shown.stdout.split())


def test_decision_to_wait_has_no_run(service: FakeService, tmp_path: Path) -> None:
    waits = DECIDED | {"action": "wait", "reason": "no budget is left", "run_id": ""}
    service.answers["POST /triggers"] = (202, {"causes": [waits], "ignored": []})
    assert trigger(service, tmp_path, "flights").stdout == "flights: wait, no budget is left\n"
    assert json.loads(trigger(service, tmp_path, "flights", "--json").stdout) == waits


def test_unknown_model_is_named_before_the_request(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEOSTAT_INFERENCE_URL", service.url)
    service.answers["GET /status.json"] = (200, {"models": [{"name": "flights"}]})
    shown = trigger(service, tmp_path, "fligths")
    assert shown.exit_code == 3
    assert "there is no model fligths" in shown.stderr
    assert [path for path, _ in service.asked if path.startswith("POST")] == []
