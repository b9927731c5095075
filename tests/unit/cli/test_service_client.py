"""The HTTP doors: addresses, and every refusal in our own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.service_client import Door, addresses, items
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from local_stack.state import StackState, write_state
from shared.errors import (
    CallerError,
    Conflict,
    DependencyUnavailable,
    HomeostatError,
    NotFound,
    OperatorError,
)
from tests.unit.cli.fake_service import fake_service


def test_addresses_by_default(tmp_path: Path) -> None:
    found = addresses(LocalStackSettings(home=tmp_path))
    assert found.retraining == "http://127.0.0.1:8003"
    assert found.inference == "http://127.0.0.1:8000"


def test_addresses_of_the_running_stack_come_before_the_default_ports(tmp_path: Path) -> None:
    state = StackState(
        pid=1, created=0, home="", kafka="", started_at="", ports={"drift": 18002}, urls={}, processes=()
    )
    write_state(tmp_path, state)
    assert addresses(LocalStackSettings(home=tmp_path)).drift == "http://127.0.0.1:18002"
    elsewhere = LocalStackSettings(home=tmp_path, drift_url="http://drift.example:80/")
    assert addresses(elsewhere).drift == "http://drift.example:80"


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, {"error": "no model x"}, NotFound, "no model x"),
        (409, {"error": "too late", "hint": "look again"}, Conflict, "too late"),
        (422, {"error": "actor is missing"}, CallerError, "actor is missing"),
        (503, {"error": "ledger is locked"}, OperatorError, "retraining: ledger is locked"),
        (500, b"<html>", OperatorError, "retraining: retraining answers 500"),
        (200, b"<html>", OperatorError, "answers something that is not JSON"),
    ],
)
def test_refusals(status: int, body: object, kind: type[HomeostatError], message: str) -> None:
    with fake_service() as fake, Door("retraining", fake.url) as door:
        fake.answers["POST /models/x/rollback"] = (status, body)
        with pytest.raises(kind, match=message) as raised:
            door.post("/models/x/rollback", {"actor": "ada"})
        assert type(raised.value) is kind
        assert fake.asked == [("POST /models/x/rollback", {"actor": "ada"})]


def test_nobody_there_names_service_address_and_option() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Door("drift", url) as door, pytest.raises(DependencyUnavailable) as raised:
        door.get("/verdicts")
    assert raised.value.message.startswith(f"drift does not answer at {url}")
    assert "--drift-url" in raised.value.hint


def test_lists_stand_alone_or_under_their_name() -> None:
    assert items([{"a": 1}], "things") == items({"things": [{"a": 1}]}, "things") == [{"a": 1}]
