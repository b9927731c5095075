"""API keys: their text, and what is stored of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.access.api_key import KEY_TEXT, ApiKey, key_of, make_key
from shared.access.scope import Scope
from shared.errors import OperatorError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_key_is_recognised_and_its_secret_is_not_stored() -> None:
    key, text = make_key("shop", frozenset({Scope.PREDICT}), NOW)
    found = KEY_TEXT.fullmatch(text)
    assert found is not None
    assert found[1] == key.key_id
    assert key.matches(found[2])
    assert not key.matches(found[2][:-1] + ("A" if found[2][-1] != "A" else "B"))
    assert not key.matches("")
    assert found[2] not in json.dumps(key.to_json())
    assert len({make_key("shop", frozenset(), NOW)[1] for _ in range(100)}) == 100


def test_entry_round_trip() -> None:
    key, _ = make_key(
        "shop", frozenset(Scope), NOW, expires_at=NOW + timedelta(days=1), requests_per_second=2.5
    )
    revoked = replace(key, revoked_at=NOW)
    for one in (key, revoked):
        assert ApiKey.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize(
    "change", [{"scopes": ["root"]}, {"created_at": "2026-01-01T00:00:00"}, {"requests_per_second": "x"}]
)
def test_malformed_entry_is_refused(change: dict[str, object]) -> None:
    key, _ = make_key("shop", frozenset({Scope.READ}), NOW)
    with pytest.raises((KeyError, TypeError, ValueError)):
        ApiKey.from_json(key.to_json() | change)


def test_key_ends_at_its_moment() -> None:
    key, _ = make_key("shop", frozenset({Scope.READ}), NOW, expires_at=NOW + timedelta(seconds=10))
    assert key.problem(NOW + timedelta(seconds=9)) == ""
    assert key.problem(NOW + timedelta(seconds=10)) == "has expired"
    assert replace(key, revoked_at=NOW).problem(NOW) == "was revoked"


def test_key_that_was_made_elsewhere() -> None:
    key, text = make_key("a", frozenset({Scope.READ}), NOW)
    assert key_of("a", frozenset({Scope.READ}), text, NOW) == key
    with pytest.raises(OperatorError, match="malformed"):
        key_of("a", frozenset({Scope.READ}), "secret", NOW)
