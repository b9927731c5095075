"""Creating, rotating and revoking keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.access.api_key import ApiKey
from shared.access.key_changes import create_key, revoke_keys, rotate_key, valid_keys
from shared.access.scope import Scope
from shared.errors import Conflict, InvalidRequest, NotFound

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READ = frozenset({Scope.READ})
HOUR = timedelta(hours=1)


def test_a_name_has_one_valid_key() -> None:
    keys: dict[str, ApiKey] = {}
    key, _ = create_key(keys, "ann", READ, NOW, expires_at=NOW + HOUR)
    with pytest.raises(Conflict) as refused:
        create_key(keys, "ann", READ, NOW)
    assert "homeostat keys rotate ann" in refused.value.hint
    again, _ = create_key(keys, "ann", READ, NOW + HOUR)
    assert again.key_id != key.key_id


@pytest.mark.parametrize(
    "name", ["", "a b", "a\n", "-a", "a" * 65, "ann (admin)", "anonymous", "loop", "drift"]
)
def test_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        create_key({}, name, READ, NOW)
    assert refused.value.field == "name"


def test_old_key_ends_after_its_grace() -> None:
    keys: dict[str, ApiKey] = {}
    old, _ = create_key(keys, "ann", READ, NOW, requests_per_second=3)
    _, new, _ = rotate_key(keys, "ann", NOW, ends_at=NOW + HOUR)
    assert (new.name, new.scopes, new.requests_per_second) == ("ann", READ, 3)
    assert len(valid_keys(keys, "ann", NOW)) == 2
    assert valid_keys(keys, "ann", NOW + HOUR) == [new]
    with pytest.raises(Conflict, match=old.key_id):
        rotate_key(keys, "ann", NOW, ends_at=NOW + HOUR)
    rotate_key(keys, new.key_id, NOW, ends_at=NOW + HOUR)


def test_rotation_keeps_the_lifetime_and_never_extends_the_old_key() -> None:
    keys: dict[str, ApiKey] = {}
    old, _ = create_key(keys, "ann", READ, NOW, expires_at=NOW + 2 * HOUR)
    _, new, _ = rotate_key(keys, "ann", NOW + HOUR, ends_at=NOW + 9 * HOUR)
    assert new.expires_at == NOW + 3 * HOUR
    assert keys[old.key_id].expires_at == NOW + 2 * HOUR


def test_revocation_ends_every_key_of_a_name() -> None:
    keys: dict[str, ApiKey] = {}
    create_key(keys, "ann", READ, NOW)
    rotate_key(keys, "ann", NOW, ends_at=NOW + HOUR)
    create_key(keys, "bob", READ, NOW)
    assert {key.name for key in revoke_keys(keys, "ann", NOW)} == {"ann"}
    assert [key.name for key in keys.values() if not key.problem(NOW)] == ["bob"]
    with pytest.raises(NotFound):
        revoke_keys(keys, "ann", NOW)
