"""`homeostat delegations`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.unit.cli.command import run
from tests.unit.cli.fake_service import FakeService

GIVEN = {
    "id": 3,
    "delegator": "ann (local)",
    "delegate": "bob",
    "model": "",
    "note": "leave",
    "created_at": "2026-02-20T10:00:00+00:00",
    "ends_at": "2026-03-01T12:30:00+00:00",
    "revoked_at": None,
    "revoked_by": "",
    "active": True,
}
ENDED = GIVEN | {"id": 2, "active": False, "revoked_at": "2026-02-21T09:00:00+00:00", "revoked_by": "eve"}


def test_delegation_is_sent_with_its_end(service: FakeService, tmp_path: Path) -> None:
    service.answers["POST /delegations"] = (201, {"delegation": GIVEN, "notes": ["no API key is named bob"]})
    where = ("--retraining-url", service.url, "--home", str(tmp_path))
    shown = run("delegations", "create", "bob", "--for", "7d", "--note", "leave", "--actor", "ann", *where)
    assert shown.exit_code == 0, shown.output
    [(asked, body)] = service.asked
    until = datetime.fromisoformat(body.pop("until"))
    assert abs(until - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=1)
    assert (asked, body) == (
        "POST /delegations",
        {"delegate": "bob", "model": "", "note": "leave", "actor": "ann"},
    )
    said = " ".join(shown.stdout.split())
    assert said == "delegation 3: bob approves all models for ann (local) until 2026-03-01 12:30 UTC"
    assert "no API key is named bob" in shown.stderr


def test_wrong_duration_names_the_option(service: FakeService, tmp_path: Path) -> None:
    shown = run("delegations", "create", "bob", "--for", "soon", "--home", str(tmp_path))
    assert shown.exit_code == 3
    assert "--for" in shown.stderr
    assert service.asked == []


def test_ended_delegations_are_listed_on_request(service: FakeService, tmp_path: Path) -> None:
    service.answers["GET /delegations"] = (200, {"delegations": [GIVEN, ENDED]})
    where = ("--retraining-url", service.url, "--home", str(tmp_path))
    assert "revoked" not in run("delegations", "list", *where).stdout
    every = run("delegations", "list", "--all", *where).stdout
    assert "revoked by eve at 2026-02-21 09:00 UTC" in " ".join(every.split())


def test_revocation_says_what_has_ended(service: FakeService, tmp_path: Path) -> None:
    service.answers["POST /delegations/2/revoke"] = (200, {"delegation": ENDED})
    where = ("--retraining-url", service.url, "--home", str(tmp_path))
    shown = run("delegations", "revoke", "2", "--actor", "eve", *where)
    assert shown.exit_code == 0, shown.output
    assert "delegation 2 has ended: revoked by eve" in shown.stdout
    assert service.asked == [("POST /delegations/2/revoke", {"actor": "eve"})]
