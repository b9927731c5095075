"""Who looks at the page, what they may do, and why not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.console.aggregation.responses import Delegation
from services.console.views.viewer import ANONYMOUS_REASON, Viewer
from shared.access.caller import ANONYMOUS, NOBODY, Caller
from shared.access.scope import ROLES, Scope


@pytest.mark.parametrize("caller", [ANONYMOUS, NOBODY])
def test_anonymous_viewer_may_do_nothing(caller: Caller) -> None:
    viewer = Viewer(caller)
    assert (viewer.is_anonymous, viewer.gives_name) == (True, False)
    assert not any(viewer.may(scope) for scope in Scope)
    assert viewer.restriction == ANONYMOUS_REASON


@pytest.mark.parametrize(
    ("role", "said"),
    [
        (
            "viewer",
            "You cannot approve or reject, acknowledge, roll back: ada lacks the scopes approve, operate, admin.",
        ),
        ("operator", "You cannot approve or reject, roll back: ada lacks the scopes approve, admin."),
        ("approver", "You cannot acknowledge, roll back: ada lacks the scopes operate, admin."),
        ("admin", ""),
    ],
)
def test_restriction_names_actions_and_scopes(role: str, said: str) -> None:
    viewer = Viewer(Caller("ada", ROLES[role]))
    assert viewer.restriction == said
    assert all(viewer.may(scope) == (scope in ROLES[role]) for scope in Scope)


def test_only_the_local_key_gives_a_name() -> None:
    assert Viewer(Caller("local", ROLES["admin"])).gives_name
    assert not Viewer(Caller("ada", ROLES["admin"])).gives_name


def test_scopes_are_in_the_order_of_the_documentation() -> None:
    assert Viewer(Caller("ada", ROLES["admin"])).scopes == "predict, outcomes, read, operate, approve, admin"


def test_delegate_approves_for_another_and_nothing_else() -> None:
    until = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    given = Delegation(delegator="ann", delegate="ada", model="toy", ends_at=until)
    viewer = Viewer(Caller("ada", ROLES["viewer"]), (given,))
    assert viewer.may(Scope.APPROVE, "toy")
    assert not viewer.may(Scope.APPROVE, "other")
    assert not viewer.may(Scope.OPERATE, "toy")
    assert viewer.restriction == "You cannot acknowledge, roll back: ada lacks the scopes operate, admin."
    assert viewer.delegated == "approves toy for ann until 2026-03-01 12:30"
    everything = replace(viewer, delegations=(given.model_copy(update={"model": ""}),))
    assert everything.may(Scope.APPROVE, "other")
    assert Viewer(Caller("ada", ROLES["approver"]), (given,)).delegated == ""
    assert not Viewer(ANONYMOUS, (given,)).may(Scope.APPROVE, "toy")
