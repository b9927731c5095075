"""File locks: one holder, probes that disturb nobody, and no lock after the descriptor is closed."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from shared.file_lock import is_locked, try_lock


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_second_holder_gets_none_until_the_first_closes(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = try_lock(path, mode=0o640)
    assert first is not None
    assert path.stat().st_mode & 0o777 == 0o640
    before = open_descriptors()
    assert try_lock(path) is None
    assert is_locked(path)
    assert open_descriptors() == before
    os.close(first)
    assert not is_locked(path)
    again = try_lock(path)
    assert again is not None
    os.close(again)


def test_probe_is_not_seen_by_another_probe(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with path.open() as probe:
        fcntl.flock(probe, fcntl.LOCK_SH)
        assert not is_locked(path)


def test_probe_creates_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        is_locked(tmp_path / "lock")
    assert not (tmp_path / "lock").exists()


def test_failed_lock_leaves_no_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    before = open_descriptors()
    for function in (try_lock, is_locked):
        with pytest.raises(OSError, match="No locks"):
            function(tmp_path / "lock")
    assert open_descriptors() == before
