"""/verdicts/dead-letters: verdicts that were set aside are replayed with all checks, or discarded."""

from __future__ import annotations

import pytest

from shared.contracts.topics import VERDICTS
from shared.errors import DependencyUnavailable
from shared.messaging.interfaces import Message, Partition
from shared.messaging.record_mac import RecordMac
from shared.models.signed_versions.key_files import record_secrets
from tests.fakes.retraining_app import RetrainingApp
from tests.fakes.retraining_installation import MODEL

PATH = "/verdicts/dead-letters"


def set_aside(app: RetrainingApp, day: int, *, mac: RecordMac | None = None) -> str:
    """The id of a verdict that was set aside."""
    deps = app.service.deps
    mac = mac or RecordMac(record_secrets(deps.keys.verdicts))
    value = app.installation.verdict(day).model_dump_json().encode()
    headers = [mac.header(VERDICTS.name, b"k", value, [])]
    app.service.dead_letters.add(
        Message(Partition(VERDICTS.name, 0), day, b"k", value, headers), "it crashed"
    )
    newest = app.get(PATH)["dead_letters"][0]
    assert (newest["model"], newest["offset"], newest["detail"]) == (MODEL, day, "it crashed")
    return str(newest["id"])


def test_replay_decides_and_discard_forgets(app: RetrainingApp) -> None:
    app.deploy()
    assert app.get(PATH) == {"dead_letters": []}
    first, second = set_aside(app, 14), set_aside(app, 15)
    decided = app.post(f"{PATH}/{first}/replay", {}, 200)
    assert decided["cause_key"] == app.installation.verdict(14).verdict_id
    assert decided["new"] is True
    assert [one["id"] for one in app.get(PATH)["dead_letters"]] == [second]
    assert app.post(f"{PATH}/{second}/discard", {}, 200) == {"discarded": second}
    assert app.get(PATH) == {"dead_letters": []}
    for act in ("replay", "discard"):
        app.post(f"{PATH}/{first}/{act}", {}, 404)
    # Delivered or replayed again, it is the same cause.
    again = app.post(f"{PATH}/{set_aside(app, 14)}/replay", {}, 200)
    assert (again["cause_key"], again["new"]) == (decided["cause_key"], False)


def test_forged_verdict_is_not_replayed(app: RetrainingApp) -> None:
    """One that ended the process was set aside before anything of it was checked."""
    app.deploy()
    letter = set_aside(app, 14, mac=RecordMac([b"s" * 32]))
    refused = app.post(f"{PATH}/{letter}/replay", {}, 409)
    assert refused["error"].startswith("the verdict is unauthenticated: ")
    assert app.get("/decisions")["decisions"] == []
    assert len(app.get(PATH)["dead_letters"]) == 1


def test_failed_replay_keeps_the_verdict(app: RetrainingApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app.deploy()
    letter = set_aside(app, 14)
    for error, status in ((DependencyUnavailable("no ledger"), 503), (ZeroDivisionError("secret"), 409)):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(app.service.controller, "handle_cause", fail)
            refused = app.post(f"{PATH}/{letter}/replay", {}, status)
        assert "secret" not in str(refused)
    app.post(f"{PATH}/{letter}/replay", {}, 200)
