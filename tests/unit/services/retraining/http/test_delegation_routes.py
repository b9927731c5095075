"""Approvals in the place of another person, over HTTP: who gives, uses and ends them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.retraining.cause import Cause
from shared.access.key_file import KeyFile, key_file_path
from shared.access.scope import Scope
from tests.fakes.retraining_app import RetrainingApp
from tests.fakes.retraining_installation import MODEL
from tests.fakes.retraining_service import wait_for

Headers = Mapping[str, str]


class Office:
    """A suggested run that nobody requested, and people with keys of their own."""

    def __init__(self, app: RetrainingApp) -> None:
        self.app = app
        app.deploy()
        cause = Cause.of_verdict(app.installation.verdict(15))
        self.run = app.service.controller.handle_cause(cause).run_id
        self.ann = app.key("ann", Scope.READ, Scope.OPERATE, Scope.APPROVE)
        self.bob = app.key("bob", Scope.READ)

    def post(self, path: str, who: Headers, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        answer = self.app.client.post(path, json=dict(body or {}), headers=dict(who))
        return answer.status_code, answer.json()

    def delegate(self, who: Headers, delegate: str = "bob", **more: Any) -> tuple[int, Any]:
        until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        return self.post("/delegations", who, {"delegate": delegate, "until": until, **more})

    def answer(self, word: str, who: Headers, run: str = "") -> tuple[int, Any]:
        return self.post(f"/runs/{run or self.run}/{word}", who)


@pytest.fixture
def office(open_app: Callable[..., RetrainingApp]) -> Office:
    return Office(open_app(automation="suggest"))


def test_delegate_answers_in_the_place_of_another(office: Office) -> None:
    assert office.answer("reject", office.bob)[0] == 403
    office.delegate(office.ann, model="another")
    status, answer = office.answer("reject", office.bob)
    assert status == 403
    assert f"no valid delegation lets bob approve runs of {MODEL}" in answer["error"]
    status, given = office.delegate(office.ann, note="on leave")
    assert (status, given["notes"]) == (201, [])
    assert [one["note"] for one in office.app.get("/status")["delegations"]] == ["", "on leave"]
    status, rejected = office.answer("reject", office.bob)
    assert (status, rejected["state"]) == (200, "rejected")
    assert rejected["reason"] == "rejected by bob for ann"
    [kept] = office.app.get(f"/runs/{office.run}")["approvals"]
    assert (kept["actor"], kept["on_behalf_of"]) == ("bob", "ann")


def test_revoked_delegation_is_of_no_use(office: Office) -> None:
    _, given = office.delegate(office.ann)
    number = given["delegation"]["id"]
    eve = office.app.key("eve", Scope.READ, Scope.APPROVE)
    assert office.post(f"/delegations/{number}/revoke", office.bob)[0] == 403
    assert office.post(f"/delegations/{number}/revoke", eve)[0] == 403
    status, ended = office.post(f"/delegations/{number}/revoke", office.ann)
    assert (status, ended["delegation"]["active"]) == (200, False)
    assert office.answer("reject", office.bob)[0] == 403
    assert office.app.get("/delegations")["delegations"] == [ended["delegation"]]
    # The local key has the scope admin.
    other = office.delegate(eve)[1]["delegation"]["id"]
    assert office.app.post(f"/delegations/{other}/revoke", {}, 200)["delegation"]["revoked_by"] == "local"


def test_delegation_ends_with_the_key_of_its_giver(office: Office) -> None:
    office.delegate(office.ann)
    with KeyFile(key_file_path(office.app.installation.settings)).changing() as keys:
        for key_id in [one.key_id for one in keys.values() if one.name == "ann"]:
            del keys[key_id]

    # Until the service has seen it.
    wait_for(lambda: office.post("/delegations", office.ann)[0] == 401, 10, "the key to be forgotten")
    assert office.answer("approve", office.bob)[0] == 403
    assert office.app.get(f"/runs/{office.run}")["state"] == "suggested"


def test_requester_cannot_approve_through_a_delegate(office: Office) -> None:
    """Neither who requested the run, nor somebody in their place."""
    office.answer("reject", office.ann)
    _, asked = office.post("/triggers", office.ann, {"model": MODEL, "reason": "please"})
    run = asked["causes"][0]["run_id"]
    office.app.wait_for_state(run, "waiting_for_approval")
    office.delegate(office.ann)
    status, answer = office.answer("approve", office.bob, run)
    assert status == 403
    assert "by the person in whose place it would be approved" in answer["error"]
    office.delegate(office.app.key("eve", Scope.READ, Scope.APPROVE))
    status, answer = office.answer("approve", office.bob, run)
    assert status == 200, answer
    assert office.app.get(f"/runs/{run}")["approvals"][-1]["on_behalf_of"] == "eve"
    office.app.wait_for_state(run, "promoted")


def test_delegate_cannot_delegate_or_do_anything_else(office: Office) -> None:
    office.delegate(office.ann)
    assert office.delegate(office.bob, "carl")[0] == 403
    assert office.post("/triggers", office.bob, {"model": MODEL, "reason": "please"})[0] == 403
    assert office.post(f"/models/{MODEL}/rollback", office.bob)[0] == 403
    assert (
        office.app.client.post(
            f"/runs/{office.run}/reject", json={}, headers={"Authorization": ""}
        ).status_code
        == 401
    )


def test_wrong_delegation_names_its_field(office: Office) -> None:
    assert office.delegate(office.ann, "carol")[1]["notes"] == [
        "no API key is named carol, and names of tokens begin with oidc:"
    ]
    assert office.delegate(office.ann, "oidc:carol")[1]["notes"] == [
        "no identity provider is set: tokens are not accepted"
    ]
    for delegate in ("ann", "anonymous", "bob (local)"):
        status, answer = office.delegate(office.ann, delegate)
        assert (status, answer["field"]) == (422, "delegate")
    for until in ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2026-01-01T00:00:00"):
        status, answer = office.delegate(office.ann, until=until)
        assert (status, answer["field"]) == (422, "until")
    for days, expected in ((91, 422), (89, 201)):
        until = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        assert office.delegate(office.ann, until=until)[0] == expected


@pytest.mark.parametrize("number", [0, -1, 1 << 31, 1 << 63, 10**30])
def test_number_that_no_delegation_has_is_not_found(app: RetrainingApp, number: int) -> None:
    """Also one that a database cannot hold."""
    app.post(f"/delegations/{number}/revoke", {"actor": "ann"}, 404)
