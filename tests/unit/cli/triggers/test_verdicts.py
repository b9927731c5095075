"""`homeostat verdicts dead-letters`."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import Result

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService

LETTER = {
    "id": "0123456789abcdef",
    "refused_at": "2026-03-01T12:00:00+00:00",
    "model": "flights",
    "verdict_id": "ab" * 16,
    "detail": "its handling ended the process 3 times [red]",
    "partition": 0,
    "offset": 7,
}
PATH = "/verdicts/dead-letters"


def dead_letters(service: FakeService, home: Path, *words: str) -> Result:
    return run("verdicts", "dead-letters", *words, "--retraining-url", service.url, "--home", str(home))


def test_list_shows_what_was_set_aside(service: FakeService, tmp_path: Path) -> None:
    service.answers[f"GET {PATH}"] = (200, {"dead_letters": [LETTER]})
    shown = dead_letters(service, tmp_path, "list")
    assert shown.exit_code == 0, shown.output
    for part in ("0123456789abcdef", "2026-03-01 12:00", "flights", "[red]"):
        assert part in shown.stdout
    document = json.loads(dead_letters(service, tmp_path, "list", "--json").stdout)
    assert document == {"dead_letters": [LETTER], "count": 1}
    service.answers[f"GET {PATH}"] = (200, {"dead_letters": []})
    assert dead_letters(service, tmp_path, "list").stdout.strip() == "no dead letters"


def test_replay_shows_the_decision(service: FakeService, tmp_path: Path) -> None:
    decided = {"action": "retrain", "reason": "drift [performance]", "run_id": "run-1"}
    service.answers[f"POST {PATH}/{LETTER['id']}/replay"] = (200, decided)
    shown = dead_letters(service, tmp_path, "replay", str(LETTER["id"]))
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.splitlines() == [f"{LETTER['id']}: retrain, drift [performance]", "run run-1"]


def test_discard_and_refusals(service: FakeService, tmp_path: Path) -> None:
    service.answers[f"POST {PATH}/{LETTER['id']}/discard"] = (200, {"discarded": LETTER["id"]})
    assert dead_letters(service, tmp_path, "discard", str(LETTER["id"])).exit_code == 0
    service.answers[f"POST {PATH}/{'b' * 16}/replay"] = (404, {"error": "there is no verdict b"})
    refused = dead_letters(service, tmp_path, "replay", "b" * 16)
    assert refused.exit_code != 0
    assert "there is no verdict b" in refused.output
