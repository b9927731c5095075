"""Scopes and roles."""

from __future__ import annotations

import pytest

from shared.access.scope import ANONYMOUS_SCOPES, ROLES, Scope, parse_scopes
from shared.errors import InvalidRequest


def test_roles_and_scopes_add_up() -> None:
    assert parse_scopes(["predict"]) == {Scope.PREDICT}
    assert parse_scopes(["viewer", "approve"]) == {Scope.READ, Scope.APPROVE}
    assert parse_scopes(["operator", "approver"]) == {Scope.READ, Scope.OPERATE, Scope.APPROVE}
    assert parse_scopes(["admin"]) == set(Scope)


@pytest.mark.parametrize("names", [["root"], ["predict", "*"], [""], []])
def test_unknown_or_missing_scope_is_refused(names: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_scopes(names)
    assert refused.value.field == "scopes"
    assert "predict" in refused.value.expected


def test_nobody_acts_without_credentials() -> None:
    assert frozenset({Scope.OPERATE, Scope.APPROVE, Scope.ADMIN}).isdisjoint(ANONYMOUS_SCOPES)


def test_only_an_admin_may_both_operate_and_approve_by_one_role() -> None:
    both = {name for name, scopes in ROLES.items() if {Scope.OPERATE, Scope.APPROVE} <= scopes}
    assert both == {"admin"}
