from __future__ import annotations

import pytest

from local_stack.ports import free_port
from shared.access.caller import NotPermitted, Unauthenticated
from shared.errors import (
    CallerError,
    Conflict,
    DependencyUnavailable,
    HomeostatError,
    NotFound,
    OperatorError,
)
from shared.http.service_client import ServiceClient, items
from tests.unit.cli.fake_service import fake_service


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (401, {"error": "who?"}, Unauthenticated, "who"),
        (403, {"error": "x lacks the scope admin"}, NotPermitted, "lacks the scope admin"),
        (404, {"error": "no model x"}, NotFound, "no model x"),
        (409, {"error": "too late", "hint": "look again"}, Conflict, "too late"),
        (422, {"error": "actor is missing"}, CallerError, "actor is missing"),
        (503, {"error": "ledger is locked"}, OperatorError, "retraining: ledger is locked"),
        (500, b"<html>", OperatorError, "retraining: retraining returned status 500"),
        (200, b"<html>", OperatorError, "returned a body that is not JSON"),
    ],
)
def test_refusals(status: int, body: object, kind: type[HomeostatError], message: str) -> None:
    with fake_service() as fake, ServiceClient("retraining", fake.url) as client:
        fake.answers["POST /models/x/rollback"] = (status, body)
        with pytest.raises(kind, match=message) as raised:
            client.post("/models/x/rollback", {"actor": "ada"})
        assert type(raised.value) is kind
        assert fake.asked == [("POST /models/x/rollback", {"actor": "ada"})]


def test_unreachable_service_error_names_url_and_option() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with ServiceClient("drift", url) as client, pytest.raises(DependencyUnavailable) as raised:
        client.get("/verdicts")
    assert raised.value.message.startswith(f"drift cannot be reached at {url}")
    assert "--drift-url" in raised.value.hint


def test_lists_stand_alone_or_under_their_name() -> None:
    assert items([{"a": 1}], "things") == items({"things": [{"a": 1}]}, "things") == [{"a": 1}]


@pytest.mark.parametrize(("api_key", "hint"), [("", "HOMEOSTAT_API_KEY_FILE"), ("hs_x", "ask the operator")])
def test_refusal_without_a_key_says_how_to_send_one(api_key: str, hint: str) -> None:
    """The hint of the service is about headers, which a command does not have."""
    with fake_service() as fake, ServiceClient("drift", fake.url, api_key=api_key) as client:
        fake.answers["GET /verdicts"] = (401, {"error": "no key", "hint": "ask the operator"})
        with pytest.raises(Unauthenticated) as raised:
            client.get("/verdicts")
    assert hint in raised.value.hint
