"""`homeostat runs`, `approve` and `reject`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import Result

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService


@pytest.mark.parametrize("word", ["approve", "reject"])
def test_decision_is_sent(service: FakeService, tmp_path: Path, word: str) -> None:
    service.answers[f"POST /runs/r1/{word}"] = (200, {"run_id": "r1", "state": "promoting"})
    shown = run(word, "r1", "--actor", "ada", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert service.asked == [(f"POST /runs/r1/{word}", {"actor": "ada"})]


def test_conflict_is_exit_code_3(service: FakeService, tmp_path: Path) -> None:
    service.answers["POST /runs/r1/approve"] = (409, {"error": "run r1 was rejected by bob"})
    shown = run("approve", "r1", "--actor", "ada", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert "run r1 was rejected by bob" in shown.stderr


def test_conflict_shows_the_next_command(service: FakeService, tmp_path: Path) -> None:
    service.answers["POST /runs/run-1/approve"] = (
        409,
        {"error": "run run-1 is abandoned and cannot be approved", "hint": "it has ended"},
    )
    service.answers["GET /runs/run-1"] = (200, {"run_id": "run-1", "state": "abandoned"})
    shown = run("approve", "run-1", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert shown.stdout == ""
    why = f"`homeostat why run-1 --home {tmp_path} --retraining-url {service.url}` explains it"
    assert f"run run-1 is abandoned and cannot be approved\nhint: {why}; it has ended\n" in shown.stderr


SUGGESTED = {
    "run_id": "run-2",
    "model": "flights",
    "state": "suggested",
    "created_at": "2013-02-08T10:11:12+00:00",
    "source": "verdict",
    "cause_reason": "dest [drifted]",
    "cause_actor": "drift",
    "approvals": [],
}
ANSWERED = [{"actor": "ann (local)", "answer": "yes"}, {"actor": "bob", "answer": "no"}]
FAILED = SUGGESTED | {"run_id": "run-1", "state": "failed", "cause_reason": "", "approvals": ANSWERED}


def list_runs(service: FakeService, home: Path, *words: str) -> Result:
    return run("runs", *words, "--retraining-url", service.url, "--home", str(home))


def test_runs_are_listed_with_cause_and_approval(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /runs"] = (200, {"runs": [SUGGESTED, FAILED]})
    shown = list_runs(service, tmp_path, "--model", "flights", "--limit", "2")
    assert shown.exit_code == 0, shown.output
    options = f" --home {tmp_path} --retraining-url {service.url}"
    assert service.asked == [("GET /runs?model=flights&limit=2", None)]
    rows = [re.split(" {2,}", line.strip()) for line in shown.stdout.splitlines()[1:]]
    answered = "ann (local) yes, bob no"
    assert rows == [
        [
            "run-2",
            "flights",
            "suggested",
            "2013-02-08 10:11",
            "dest [drifted]",
            "drift",
            "–",
            "approve or reject",
        ],
        ["run-1", "flights", "failed", "2013-02-08 10:11", "verdict", "drift", answered, "why"],
        [f"`homeostat approve run-2{options}` starts it, `homeostat reject run-2{options}` ends it"],
    ]


def test_runs_as_json_have_the_next_step(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /runs"] = (200, {"runs": [SUGGESTED]})
    shown = json.loads(list_runs(service, tmp_path, "--json").stdout)
    step = f"`homeostat approve run-2 --home {tmp_path} --retraining-url {service.url}` starts it"
    assert shown == {"runs": [SUGGESTED | {"next_step": step}]}


def test_no_runs_are_reported(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /runs"] = (200, {"runs": []})
    assert list_runs(service, tmp_path).stdout == "no runs yet\n"
