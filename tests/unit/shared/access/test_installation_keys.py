"""The keys of an installation's own processes and commands."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.access.authenticator import Authenticator
from shared.access.installation_keys import (
    ALERTMANAGER,
    CONSOLE,
    INSTALLATION_KEYS,
    LOCAL,
    PROMETHEUS,
    ensure_installation_keys,
    key_path,
    read_key_text,
)
from shared.access.key_changes import revoke_keys
from shared.access.key_file import KeyFile
from shared.access.scope import Scope
from shared.errors import OperatorError


def texts(home: Path) -> dict[str, str]:
    return {name: read_key_text(key_path(home, name)) for name in INSTALLATION_KEYS}


def test_keys_are_made_once_and_are_private(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "api_keys.json"
    ensure_installation_keys(tmp_path, file)
    first = texts(tmp_path)
    assert len(set(first.values())) == len(INSTALLATION_KEYS)
    for name in INSTALLATION_KEYS:
        assert key_path(tmp_path, name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    ensure_installation_keys(tmp_path, file)
    assert texts(tmp_path) == first
    stored = file.read_text()
    assert not any(text[-43:] in stored for text in first.values())


def test_each_may_do_only_its_work(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "api_keys.json"
    ensure_installation_keys(tmp_path, file)
    who = Authenticator(KeyFile(file), anonymous=False)
    scopes = {name: who.authenticate(f"Bearer {text}").scopes for name, text in texts(tmp_path).items()}
    assert scopes == {
        LOCAL: set(Scope), ALERTMANAGER: {Scope.OPERATE}, PROMETHEUS: {Scope.READ}, CONSOLE: {Scope.READ},
    }  # fmt: skip


def test_revoked_or_lost_key_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "api_keys.json"
    ensure_installation_keys(tmp_path, file)
    before = texts(tmp_path)
    with KeyFile(file).changing() as keys:
        revoke_keys(keys, CONSOLE, datetime.now(UTC))
    key_path(tmp_path, LOCAL).unlink()
    ensure_installation_keys(tmp_path, file)
    after = texts(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {CONSOLE, LOCAL}
    who = Authenticator(KeyFile(file), anonymous=False)
    assert who.authenticate(f"Bearer {after[CONSOLE]}").name == CONSOLE


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(OperatorError, match="keys"):
        ensure_installation_keys(tmp_path, tmp_path / "keys" / "api_keys.json")
