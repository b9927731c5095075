"""The file of API keys."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from shared.access.api_key import make_key
from shared.access.key_file import LOOK_SECONDS, KeyFile, read_keys
from shared.access.scope import Scope
from shared.errors import OperatorError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Ticks:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def add(file: KeyFile, name: str) -> str:
    with file.changing() as keys:
        key, _ = make_key(name, frozenset({Scope.READ}), NOW)
        keys[key.key_id] = key
    return key.key_id


def test_missing_file_admits_nobody(tmp_path: Path) -> None:
    assert KeyFile(tmp_path / "keys.json").find("0" * 12) is None


def test_change_by_another_process_is_seen_after_a_second(tmp_path: Path) -> None:
    ticks = Ticks()
    seen = KeyFile(tmp_path / "keys.json", monotonic=ticks)
    other = KeyFile(tmp_path / "keys.json")
    assert seen.find("0" * 12) is None
    added = add(other, "a")
    assert seen.find(added) is None
    before = seen.generation
    ticks.now += LOOK_SECONDS
    assert seen.find(added) is not None
    assert seen.generation == before + 1
    with other.changing() as keys:
        del keys[added]
    ticks.now += LOOK_SECONDS
    assert seen.find(added) is None


def test_broken_file_admits_nobody_and_recovers(tmp_path: Path) -> None:
    ticks = Ticks()
    file = KeyFile(tmp_path / "keys.json", monotonic=ticks)
    added = add(file, "a")
    good = file.path.read_bytes()
    assert file.find(added) is not None
    for broken in (b"", b"{", b"[]", b'{"keys": [{}]}', good.replace(b"read", b"root"), b"\xff"):
        file.path.write_bytes(broken)
        ticks.now += LOOK_SECONDS
        with pytest.raises(OperatorError) as refused:
            file.find(added)
        assert str(tmp_path) not in str(refused.value)
        with pytest.raises(OperatorError):  # also at once again
            file.find(added)
    file.path.write_bytes(good)
    ticks.now += LOOK_SECONDS
    assert file.find(added) is not None


def test_file_is_private_unless_an_operator_opened_it(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys" / "keys.json")
    add(file, "a")
    assert file.path.stat().st_mode & 0o777 == 0o600
    file.path.chmod(0o644)
    add(file, "b")
    assert file.path.stat().st_mode & 0o777 == 0o644
    assert [key.name for key in read_keys(file.path)] == ["a", "b"]


def test_fifo_and_link_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/passwd")
    for name in ("fifo", "link"):
        with pytest.raises(OperatorError, match="cannot be read"):
            read_keys(tmp_path / name)


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    threads = [
        Thread(target=lambda n=number: add(KeyFile(tmp_path / "keys.json"), f"k{n}")) for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in read_keys(tmp_path / "keys.json")} == {f"k{number}" for number in range(12)}


def test_failed_change_writes_nothing(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    add(file, "a")
    with suppress(ZeroDivisionError), file.changing() as keys:
        keys.clear()
        raise ZeroDivisionError
    assert [key.name for key in read_keys(file.path)] == ["a"]
