"""Scopes and roles of a token."""

from __future__ import annotations

from typing import Any

import pytest

from shared.access.oidc.grants import Grants
from shared.access.scope import ROLES, Scope
from shared.errors import OperatorError

READ, OPERATE = Scope.READ, Scope.OPERATE


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "read operate"}, {READ, OPERATE}),
        ({"scp": ["read", "operate", 7]}, {READ, OPERATE}),
        ({"scp": "read", "scope": "operate"}, {READ, OPERATE}),
        ({"scope": "READ reader homeostat:read"}, set()),
        ({"scope": None}, set()),
        ({"scope": {"read": True}}, set()),
        ({}, set()),
    ],
)
def test_scopes_by_name(claims: dict[str, Any], scopes: set[Scope]) -> None:
    assert Grants().scopes_of(claims) == scopes


def test_prefix_of_scopes() -> None:
    grants = Grants.of("homeostat:", "", "")
    assert grants.scopes_of({"scope": "admin homeostat:read homeostat:"}) == {READ}


ROLE_CLAIMS: list[tuple[str, dict[str, Any]]] = [
    ("groups", {"groups": ["ml", "other"]}),
    ("groups", {"groups": "ml"}),
    ("realm_access.roles", {"realm_access": {"roles": ["ml"]}}),
    ("https://example.org/roles", {"https://example.org/roles": ["ml"]}),
]


@pytest.mark.parametrize(("claim", "claims"), ROLE_CLAIMS)
def test_roles_by_claim(claim: str, claims: dict[str, Any]) -> None:
    grants = Grants.of("", claim, "ml=operator, sre=admin, ml=predict")
    assert grants.scopes_of(claims) == ROLES["operator"] | {Scope.PREDICT}


@pytest.mark.parametrize(
    "claims",
    [
        {"groups": ["ML", "ml ", "viewer", 7, None, {"ml": 1}]},
        {"groups": {"ml": True}},
        {"groups": 7},
        {"other": ["ml"]},
        {},
    ],
)
def test_other_values_grant_nothing(claims: dict[str, Any]) -> None:
    assert Grants.of("", "groups", "ml=admin").scopes_of(claims) == frozenset()


def test_value_may_have_an_equals_sign() -> None:
    grants = Grants.of("", "groups", "cn=ml=viewer")
    assert grants.scopes_of({"groups": ["cn=ml"]}) == {READ}


@pytest.mark.parametrize(
    ("claim", "roles", "said"),
    [
        ("groups", "ml=root", "is neither a scope nor a role"),
        ("groups", "admin", "has no value"),
        ("groups", "", "belong together"),
        ("", "ml=admin", "belong together"),
    ],
)
def test_wrong_settings_are_refused(claim: str, roles: str, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        Grants.of("", claim, roles)
