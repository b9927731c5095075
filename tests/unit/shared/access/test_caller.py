"""Callers: what they may do, and under which name it is recorded."""

from __future__ import annotations

import pytest

from shared.access.caller import ANONYMOUS, NOBODY, Caller, NotPermitted, Unauthenticated, authenticated_name
from shared.access.scope import Scope
from shared.errors import InvalidRequest

SHOP = Caller("shop", frozenset({Scope.PREDICT}))


def test_scope_is_required() -> None:
    SHOP.require(Scope.PREDICT)
    with pytest.raises(NotPermitted, match="shop lacks the scope admin"):
        SHOP.require(Scope.ADMIN)


def test_who_sends_nothing_is_asked_for_credentials() -> None:
    ANONYMOUS.require(Scope.READ)
    with pytest.raises(Unauthenticated):
        ANONYMOUS.require(Scope.OPERATE)
    with pytest.raises(Unauthenticated):
        NOBODY.require(Scope.READ)


def test_actor_always_shows_the_authenticated_name() -> None:
    assert SHOP.actor() == SHOP.actor("shop") == SHOP.actor("  ") == "shop"
    assert SHOP.actor("Änn B.") == "Änn B. (shop)"
    assert [authenticated_name(actor) for actor in ("shop", "Änn B. (shop)")] == ["shop", "shop"]


@pytest.mark.parametrize(
    "claimed",
    [
        "x (admin)",
        "(",
        "a\nb",
        "a\x00b",
        "a" * 101,
        "boss\uff08boss\uff09",
        "a\u202eb",
        "a\u2028b",
        "\u200b",
        "a\u3000b",
    ],
)
def test_claimed_name_cannot_look_authenticated(claimed: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        SHOP.actor(claimed)
    assert refused.value.field == "actor"
