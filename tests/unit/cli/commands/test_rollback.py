"""`homeostat rollback`: what it sends, and what it reports."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import RELEASES, FakeService


def test_rollback_sends_actor_reason_and_generations(service: FakeService, tmp_path: Path) -> None:
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


def test_lost_response_hint_names_expected_generation(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /models/flights/releases"] = (200, {"releases": RELEASES})
    service.hangs_up.add("POST /models/flights/rollback")
    shown = run("rollback", "flights", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 5
    message = " ".join(shown.stderr.split())
    assert "it is unknown whether flights was rolled back" in message
    assert "--expected-generation 2" in message


def test_key_that_may_not_even_read_is_told_of_the_scope_of_a_rollback(
    service: FakeService, tmp_path: Path
) -> None:
    service.answers["GET /models/flights/releases"] = (403, {"error": "shop lacks the scope read"})
    shown = run("rollback", "flights", "--retraining-url", service.url, "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert "shop lacks the scope read; a rollback needs the scope admin" in " ".join(shown.stderr.split())
