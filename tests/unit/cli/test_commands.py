"""The commands that ask a service: what they send, what they show, how they fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import PAGE, app
from tests.unit.cli.fake_service import FakeService, fake_service

VERSION = "ab" * 32
RELEASES = [
    {
        "model": "flights",
        "generation": number,
        "version": VERSION,
        "reason": "deployment",
        "actor": "ada",
        "run_id": "",
        "note": "",
        "released_at": "2013-01-15T00:00:00Z",
    }
    for number in (1, 2)
]
VERDICT = {
    "verdict_id": "c0ffee",
    "model": "flights",
    "window_start": "2013-02-01T00:00:00Z",
    "window_end": "2013-02-08T00:00:00Z",
    "state": "drift",
    "top_drifted_features": ["dest"],
    "rows": 5000,
}


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as fake:
        yield fake


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_every_command_has_a_help_page_and_json() -> None:
    for entry in PAGE:
        shown = run(entry.name, "--help")
        assert shown.exit_code == 0
        assert "--json" in shown.output or not entry.example


def test_releases_lists_the_newest_first(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /models/flights/releases"] = (200, {"releases": RELEASES})
    shown = run("releases", "flights", "--retraining-url", service.url, "--home", str(tmp_path), "--json")
    assert shown.exit_code == 0
    assert [release["generation"] for release in json.loads(shown.stdout)["releases"]] == [2, 1]
    table = run("releases", "flights", "--retraining-url", service.url, "--home", str(tmp_path))
    assert VERSION[:12] in table.stdout
    assert VERSION not in table.stdout


def test_rollback_sends_who_why_where_to_and_what_it_saw(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /models/flights/releases"] = (200, {"releases": RELEASES})
    service.answers["POST /models/flights/rollback"] = (
        200,
        {"release": {**RELEASES[0], "generation": 3, "reason": "rollback"}},
    )
    options = [
        "--to-generation",
        "1",
        "--reason",
        "worse at night",
        "--actor",
        "ada",
        "--home",
        str(tmp_path),
    ]
    shown = run("rollback", "flights", *options, "--retraining-url", service.url)
    assert shown.exit_code == 0, shown.output
    sent = {"actor": "ada", "reason": "worse at night", "to_generation": 1, "expected_generation": 2}
    assert service.asked == [
        ("GET /models/flights/releases", None),
        ("POST /models/flights/rollback", sent),
    ]
    assert "generation 3" in shown.stdout
    again = run(
        "rollback", "flights", *options, "--expected-generation", "1", "--retraining-url", service.url
    )
    assert again.exit_code == 0, again.output
    assert service.asked[2:] == [("POST /models/flights/rollback", {**sent, "expected_generation": 1})]


def test_a_rollback_whose_reply_is_lost_says_how_to_try_again(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /models/flights/releases"] = (200, {"releases": RELEASES})
    service.hangs_up.add("POST /models/flights/rollback")
    shown = run("rollback", "flights", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 5
    told = " ".join(shown.stderr.split())
    assert "it is unknown whether flights was rolled back" in told
    assert "--expected-generation 2" in told


@pytest.mark.parametrize("word", ["approve", "reject"])
def test_approval(service: FakeService, tmp_path: Path, word: str) -> None:
    service.answers[f"POST /runs/r1/{word}"] = (200, {"run_id": "r1", "state": "promoting"})
    shown = run(word, "r1", "--actor", "ada", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert service.asked == [(f"POST /runs/r1/{word}", {"actor": "ada"})]


def test_a_refusal_is_exit_code_3_with_the_service_s_words(service: FakeService, tmp_path: Path) -> None:
    service.answers["POST /runs/r1/approve"] = (409, {"error": "run r1 was rejected by bob"})
    shown = run("approve", "r1", "--actor", "ada", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert "run r1 was rejected by bob" in shown.stderr


def test_report_lists_verdicts_and_their_pages(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /verdicts"] = (200, {"verdicts": [VERDICT]})
    shown = run(
        "report", "flights", "--limit", "5", "--drift-url", service.url, "--home", str(tmp_path), "--json"
    )
    assert json.loads(shown.stdout)["verdicts"][0]["report"] == f"{service.url}/reports/c0ffee"
    assert service.asked == [("GET /verdicts?limit=5&model=flights", None)]


def test_why_asks_about_a_prediction_or_a_version_and_draws_the_chain(
    service: FakeService, tmp_path: Path
) -> None:
    prediction = "v" * 32
    chain: dict[str, Any] = {
        "version": {"name": VERSION[:12], "run": {"id": "r1", "cause": "c0ffee", "note": "shape [N] [/x]"}},
        "empty": None,
    }
    service.answers[f"GET /predictions/{prediction}/why"] = (200, chain)
    service.answers[f"GET /versions/{VERSION[:12]}/why"] = (200, chain)
    shown = run("why", prediction, "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("Prediction " + prediction)
    assert len(shown.stdout.splitlines()) == 1
    tree = run("why", prediction, "--full", "--retraining-url", service.url, "--home", str(tmp_path))
    for word in ("prediction", "version", "run", "c0ffee"):
        assert word in tree.stdout
    assert "empty" not in tree.stdout
    assert "shape [N] [/x]" in tree.stdout
    assert run("why", VERSION[:12], "--retraining-url", service.url, "--home", str(tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    ("name", "known", "asked"),
    [
        ("run-" + "c0ffee" * 4, "runs", ["runs"]),
        ("0123456789abcdef" * 2, "causes", ["causes"]),
        ("0123456789abcdef" * 2, "predictions", ["causes", "predictions"]),
        ("0123456789abcdev" * 2, "predictions", ["predictions"]),
        ("0123456789ab", "versions", ["versions"]),
    ],
)
def test_why_knows_what_a_name_is(
    service: FakeService, tmp_path: Path, name: str, known: str, asked: list[str]
) -> None:
    chain = {
        "run": {"state": "promoted"},
        "version": {"model": "flights"},
        "cause": {"reason": "the loss rose"},
        "predictions": {"count": 7} if known in ("runs", "causes") else None,
    }
    service.answers[f"GET /{known}/{name}/why"] = (200, chain)
    shown = run("why", name, "--full", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert [request for request, _ in service.asked] == [f"GET /{kind}/{name}/why" for kind in asked]
    forth = known in ("runs", "causes")
    # From a run or cause the chain is drawn from the cause on, else from the answer back to it.
    _, tree = shown.stdout.split("\n", 1)
    assert (tree.index("the loss rose") < tree.index("promoted")) is forth
    assert ("count 7" in shown.stdout) is forth


def test_why_of_a_cause_nobody_knows_ends_with_the_service_s_words(
    service: FakeService, tmp_path: Path
) -> None:
    name = "ab" * 16
    service.answers[f"GET /predictions/{name}/why"] = (404, {"error": f"the lake has no prediction {name}"})
    shown = run("why", name, "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert "has no prediction" in shown.stderr


def test_status_of_nothing_names_the_remedy(tmp_path: Path) -> None:
    shown = run("status", "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert "homeostat up" in shown.stderr


def test_down_of_nothing_is_no_error(tmp_path: Path) -> None:
    shown = run("down", "--home", str(tmp_path), "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == {"ended": []}
