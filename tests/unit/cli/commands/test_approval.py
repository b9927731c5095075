"""`homeostat approve` and `homeostat reject`."""

from __future__ import annotations

from pathlib import Path

import pytest

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
