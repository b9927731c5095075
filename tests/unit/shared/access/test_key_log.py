"""The log of key changes."""

from __future__ import annotations

import os
import pwd
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.access.key_changes import create_key, revoke_keys, rotate_key
from shared.access.key_file import KeyFile, read_keys
from shared.access.key_log import log_path, read_log
from shared.access.scope import Scope
from shared.errors import OperatorError

NOW = datetime.now(UTC)


def changed(path: Path) -> list[tuple[str, str, list[str]]]:
    return [(one["action"], one["name"], one["scopes"]) for one in read_log(log_path(path))]


def test_every_change_has_an_entry(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "api_keys.json")
    with file.changing() as keys:
        first, _ = create_key(keys, "shop", frozenset({Scope.PREDICT}), NOW)
    with file.changing() as keys:
        _, second, _ = rotate_key(keys, "shop", NOW, ends_at=NOW + timedelta(hours=1))
    with file.changing() as keys:
        revoke_keys(keys, "shop", NOW)
    with file.changing() as keys:
        del keys[first.key_id]
    with file.changing():
        pass
    assert changed(file.path) == [
        ("create", "shop", ["predict"]),
        ("rotate", "shop", ["predict"]),
        ("revoke", "shop", ["predict"]),
        ("revoke", "shop", ["predict"]),
        ("remove", "shop", ["predict"]),
    ]
    entries = read_log(log_path(file.path))
    assert (entries[1]["id"], entries[1]["replaces"]) == (second.key_id, first.key_id)
    assert {one["user"] for one in entries} == {pwd.getpwuid(os.getuid()).pw_name}
    assert datetime.fromisoformat(entries[0]["time"]).tzinfo is not None


def test_log_is_private_and_holds_no_secret(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "api_keys.json")
    with file.changing() as keys:
        key, text = create_key(keys, "shop", frozenset({Scope.READ}), NOW)
    path = log_path(file.path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert text[-43:] not in path.read_text()
    assert key.digest not in path.read_text()


def test_change_that_cannot_be_logged_is_not_made(tmp_path: Path) -> None:
    """Also not through a link that somebody has put there."""
    file = KeyFile(tmp_path / "api_keys.json")
    log_path(file.path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperatorError, match="no key was changed"), file.changing() as keys:
        create_key(keys, "shop", frozenset({Scope.READ}), NOW)
    assert read_keys(file.path) == []
    assert not (tmp_path / "elsewhere").exists()


def test_malformed_line_is_shown(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("{}\nhalf a li")
    assert read_log(tmp_path / "log") == [{}, {"malformed": "half a li"}]
    assert read_log(tmp_path / "none") == []
