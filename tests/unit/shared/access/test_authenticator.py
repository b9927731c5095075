"""From the Authorization header to a caller."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.access.api_key import make_key
from shared.access.authenticator import MAXIMUM_CREDENTIALS, Authenticator, open_authenticator
from shared.access.caller import ANONYMOUS, NOBODY, Caller, Unauthenticated
from shared.access.key_file import KeyFile
from shared.access.scope import Scope
from shared.errors import OperatorError
from shared.settings import HomeostatSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
READ = frozenset({Scope.READ})


class Setup:
    def __init__(self, folder: Path) -> None:
        self.file = KeyFile(folder / "keys.json")
        self.now = NOW
        self.key, self.text = make_key("ann", READ, NOW, expires_at=NOW + timedelta(hours=1))
        with self.file.changing() as keys:
            keys[self.key.key_id] = self.key
        self.authenticator = Authenticator(self.file, anonymous=False, now=lambda: self.now)

    def refusal(self, authorization: str) -> str:
        with pytest.raises(Unauthenticated) as refused:
            self.authenticator.authenticate(authorization)
        assert self.text not in str(refused.value)
        return refused.value.message


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_key_names_its_caller(setup: Setup) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        caller = setup.authenticator.authenticate(f"{scheme} {setup.text}")
        assert (caller.name, caller.scopes) == ("ann", READ)


def test_wrong_credentials_are_refused(setup: Setup) -> None:
    head, secret = setup.text[:-43], setup.text[-43:]
    other = "A" * 43
    assert "not known" in setup.refusal(f"Bearer {head}{other}")
    assert "not known" in setup.refusal(f"Bearer hs_{'0' * 12}_{secret}")
    assert "not an API key" in setup.refusal(f"Bearer {setup.text}x")
    assert "not an API key" in setup.refusal("Bearer eyJhbGciOiJub25lIn0.e30.")
    for malformed in (
        "",
        "Bearer",
        "Bearer ",
        setup.text,
        f"Basic {setup.text}",
        "Bearer " + "a" * (MAXIMUM_CREDENTIALS + 1),
    ):
        assert "Authorization header" in setup.refusal(malformed)


def test_wrong_credentials_are_refused_also_where_none_are_needed(setup: Setup) -> None:
    open_one = Authenticator(setup.file, anonymous=True)
    with pytest.raises(Unauthenticated):
        open_one.authenticate(f"Bearer hs_{'0' * 12}_{'A' * 43}")


def test_expired_and_revoked_keys_are_refused(setup: Setup) -> None:
    setup.now = NOW + timedelta(hours=1)
    assert "has expired" in setup.refusal(f"Bearer {setup.text}")
    setup.now = NOW
    with setup.file.changing() as keys:
        keys[setup.key.key_id] = replace(setup.key, revoked_at=NOW)
    assert "was revoked" in setup.refusal(f"Bearer {setup.text}")


def test_without_credentials(setup: Setup) -> None:
    assert setup.authenticator.authenticate(None) == NOBODY
    assert Authenticator(setup.file, anonymous=True).authenticate(None, "127.0.0.1") == ANONYMOUS


def test_tokens_go_to_their_verifier(setup: Setup) -> None:
    class Verifier:
        def verify(self, token: str) -> Caller:
            return Caller(token, READ)

        def refresh(self) -> None:
            """There are no keys to fetch."""

    both = Authenticator(setup.file, anonymous=False, tokens=Verifier(), now=lambda: NOW)
    assert both.authenticate("Bearer a.b.c").name == "a.b.c"
    assert both.authenticate(f"Bearer {setup.text}").name == "ann"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "homeostat.example"])
def test_nothing_is_open_to_other_machines(host: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="HOMEOSTAT_ANONYMOUS_ACCESS"):
        open_authenticator(HomeostatSettings(home=tmp_path, anonymous_access=True), host)
    closed = open_authenticator(HomeostatSettings(home=tmp_path, anonymous_access=False), host)
    assert closed.authenticate(None) == NOBODY


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_this_machine_may_be_open(host: str, tmp_path: Path) -> None:
    opened = open_authenticator(HomeostatSettings(home=tmp_path, anonymous_access=True), host)
    assert opened.authenticate(None, "127.0.0.1") == ANONYMOUS


def test_scope_of_a_name_is_that_of_its_valid_keys(setup: Setup) -> None:
    authenticator = setup.authenticator
    assert authenticator.has_key("ann")
    assert authenticator.has_scope("ann", Scope.READ)
    assert not authenticator.has_scope("ann", Scope.APPROVE)
    setup.now += timedelta(hours=1)
    assert not authenticator.has_scope("ann", Scope.READ)
    # Nobody can have a name without a key, unless tokens are accepted and it is that of a token.
    assert not authenticator.has_key("bob")
    assert not authenticator.has_scope("bob", Scope.READ)
    assert not authenticator.has_scope("oidc:bob", Scope.READ)
    authenticator.tokens = NoTokens()
    assert authenticator.has_scope("oidc:bob", Scope.READ)
    assert not authenticator.has_scope("ann", Scope.READ)
    assert not authenticator.has_scope("bob", Scope.READ), "a key that was removed from the file is no token"


class NoTokens:
    """A verifier that accepts none."""

    def verify(self, token: str) -> Caller:
        raise Unauthenticated("no")

    def refresh(self) -> None: ...
