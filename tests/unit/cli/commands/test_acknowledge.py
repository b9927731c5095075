"""`homeostat acknowledge`: what it sends, and how it finds a cause."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from tests.unit.cli.fake_service import FakeService, fake_service

KEYS = ("3fa9c1" + "0" * 26, "3fa9c1" + "1" * 26, "77" * 16)


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as fake:
        decisions = [{"cause_key": key, "action": "wait"} for key in KEYS]
        fake.answers["GET /decisions"] = (200, {"decisions": decisions})
        fake.answers["GET /runs/run-1"] = (200, {"run_id": "run-1", "cause_key": KEYS[2]})
        for key in KEYS:
            seen = {"actor": "ada", "note": "sensor [1] replaced", "at": "2026-11-21T12:00:00Z"}
            fake.answers[f"POST /causes/{key}/acknowledge"] = (200, seen)
        yield fake


def acknowledge(service: FakeService, home: Path, *words: str) -> Result:
    options = ("--actor", "ada", "--retraining-url", service.url, "--home", str(home))
    return CliRunner().invoke(app, ["acknowledge", *words, *options])


@pytest.mark.parametrize("name", [KEYS[2], KEYS[2][:6], KEYS[2][:20], "run-1"])
def test_cause_is_found_by_key_prefix_or_run(service: FakeService, tmp_path: Path, name: str) -> None:
    done = acknowledge(service, tmp_path, name, "--note", "sensor [1] replaced")
    assert done.exit_code == 0, done.output
    body = {"actor": "ada", "note": "sensor [1] replaced"}
    assert service.asked[-1] == (f"POST /causes/{KEYS[2]}/acknowledge", body)
    assert "acknowledged by ada, note: sensor [1] replaced" in done.stdout


def test_note_is_optional_and_result_is_json(service: FakeService, tmp_path: Path) -> None:
    done = acknowledge(service, tmp_path, KEYS[2], "--json")
    assert service.asked == [(f"POST /causes/{KEYS[2]}/acknowledge", {"actor": "ada"})]
    assert json.loads(done.stdout)["actor"] == "ada"


def test_older_decisions_only_with_option(service: FakeService, tmp_path: Path) -> None:
    place = f"POST /causes/{KEYS[2]}/acknowledge"
    service.answers[place] = (200, {"actor": "ada", "note": "", "acknowledged_older": 44})
    done = acknowledge(service, tmp_path, KEYS[2], "--and-older")
    assert service.asked == [(place, {"actor": "ada", "and_older": True})]
    assert done.stdout.strip() == f"cause {KEYS[2]}: acknowledged by ada; 44 older decisions too"
    assert "older" not in acknowledge(service, tmp_path, KEYS[2]).stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("3fa9c1", "2 causes begin with 3fa9c1"),
        ("3fa9", "too short"),
        ("abcdef", "begins with abcdef; the newest are 3fa9c1000000,"),
    ],
)
def test_ambiguous_or_unknown_cause_changes_nothing(
    service: FakeService, tmp_path: Path, name: str, said: str
) -> None:
    done = acknowledge(service, tmp_path, name)
    assert done.exit_code == 3
    assert said in " ".join(done.stderr.split())
    assert "hint:" in done.stderr
    assert not [request for request, _ in service.asked if request.startswith("POST")]


def test_unknown_cause_is_exit_code_3(service: FakeService, tmp_path: Path) -> None:
    service.answers[f"POST /causes/{'ab' * 16}/acknowledge"] = (404, {"error": "there is no cause abab"})
    done = acknowledge(service, tmp_path, "ab" * 16)
    assert (done.exit_code, "there is no cause abab" in done.stderr) == (3, True)
