"""Credentials that are remembered: what has changed since is seen within about a second."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.access.authenticator import Authenticator
from shared.access.grant import Grant
from shared.access.scope import Scope
from tests.fakes.api_keys import ApiKeys


class Clock:
    """Both clocks of a process."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.start = datetime.now(UTC)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path) -> ApiKeys:
    return ApiKeys(tmp_path / "api_keys.json")


@pytest.fixture
def authenticator(keys: ApiKeys, clock: Clock) -> Authenticator:
    return keys.authenticator(now=clock.now, monotonic=clock.monotonic)


def granted(authenticator: Authenticator, key: str) -> Grant:
    grant = authenticator.grant(f"Bearer {key}", Scope.PREDICT)
    assert grant is not None
    return grant


def test_valid_key_passes_for_as_long_as_it_is_valid(
    keys: ApiKeys, authenticator: Authenticator, clock: Clock
) -> None:
    grant = granted(authenticator, keys.make("ci", Scope.PREDICT))
    for _ in range(50):
        clock.seconds += 0.3
        assert grant.take()


def test_digest_is_computed_once_a_second(
    keys: ApiKeys, authenticator: Authenticator, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = granted(authenticator, keys.make("ci", Scope.PREDICT))
    digests: list[str] = []

    def counted(secret: str) -> str:
        digests.append(secret)
        return ""

    monkeypatch.setattr("shared.access.api_key.digest_of", counted)
    assert all(grant.take() for _ in range(100))
    assert digests == []
    clock.seconds += 1.01
    assert not grant.take()
    assert len(digests) == 1


def without_scope(keys: ApiKeys) -> None:
    keys.change("ci", scopes=frozenset({Scope.READ}))


def unreadable(keys: ApiKeys) -> None:
    keys.path.write_text("{")


CHANGES: tuple[Callable[[ApiKeys], None], ...] = (
    lambda keys: keys.revoke("ci"),
    lambda keys: keys.change_secret("ci"),
    lambda keys: keys.remove("ci"),
    without_scope,
    unreadable,
)


@pytest.mark.parametrize("change", CHANGES, ids=["revoked", "secret", "removed", "scope", "unreadable"])
def test_changed_key_is_refused_within_a_second(
    keys: ApiKeys, authenticator: Authenticator, clock: Clock, change: Callable[[ApiKeys], None]
) -> None:
    key = keys.make("ci", Scope.PREDICT)
    granted(authenticator, key)  # the file was looked at now
    clock.seconds += 0.9
    grant = granted(authenticator, key)
    before = keys.path.read_bytes()
    change(keys)
    clock.seconds += 0.2  # a second after the look
    assert not grant.take()
    assert not grant.take()
    keys.path.write_bytes(before)
    clock.seconds += 1.1
    assert grant.take()


def test_expired_key_is_refused_at_once(keys: ApiKeys, authenticator: Authenticator, clock: Clock) -> None:
    expires_at = clock.start + timedelta(seconds=10.5)
    grant = granted(authenticator, keys.make("ci", Scope.PREDICT, expires_at=expires_at))
    clock.seconds = 10.4
    assert grant.take()
    clock.seconds = 10.51
    assert not grant.take()


def test_rate_is_that_of_the_key_now(keys: ApiKeys, authenticator: Authenticator, clock: Clock) -> None:
    key = keys.make("ci", Scope.PREDICT, requests_per_second=3)
    grant, other = granted(authenticator, key), granted(authenticator, key)
    assert [grant.take(), other.take(), grant.take(), other.take()] == [True, True, True, False]
    grant.give_back()
    assert other.take()
    keys.change("ci", requests_per_second=None)
    clock.seconds += 1.1
    assert all(grant.take() for _ in range(100))


@pytest.mark.parametrize(
    "header",
    [
        "Bearer hs_000000000000_" + "a" * 43,
        "Bearer some.signed.token",
        "Basic {key}",
        "{key}",
        "",
        "Bearer {key} {key}",
    ],
)
def test_other_credentials_are_not_remembered(
    keys: ApiKeys, authenticator: Authenticator, header: str
) -> None:
    key = keys.make("ci", Scope.PREDICT)
    assert authenticator.grant(header.format(key=key), Scope.PREDICT) is None


def test_key_without_the_scope_is_not_remembered(keys: ApiKeys, authenticator: Authenticator) -> None:
    key = keys.make("ci", Scope.READ, Scope.ADMIN)
    assert authenticator.grant(f"Bearer {key}", Scope.PREDICT) is None


@pytest.mark.parametrize("address", ["10.0.0.5", "192.168.1.1", "fe80::1", "::ffff:127.0.0.1", "", "server"])
def test_anonymous_access_is_for_loopback_addresses(keys: ApiKeys, address: str) -> None:
    authenticator = keys.authenticator(anonymous=True)
    assert authenticator.authenticate(None, address).scopes == frozenset()
    for local in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert Scope.PREDICT in authenticator.authenticate(None, local).scopes
    assert keys.authenticator().authenticate(None, "127.0.0.1").scopes == frozenset()
