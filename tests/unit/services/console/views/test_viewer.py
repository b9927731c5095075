"""Who looks at the page, what they may do, and why not."""

from __future__ import annotations

import pytest

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
