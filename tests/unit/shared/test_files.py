"""Atomic writes: old content or new, never a part of it; nothing left behind."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_ISDIR

import pytest

from shared import files
from shared.files import atomic_path, create_atomic, write_atomic


def test_write_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["state.json"]


def test_failed_write_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b"old")

    def full_disk(temporary: Path, content: bytes, mode: int | None) -> None:
        temporary.write_bytes(content[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write_new", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["state.json"]


@pytest.mark.parametrize("durable", [True, False])
def test_durable_write_syncs_file_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def remember(descriptor: int) -> None:
        synced.append("folder" if S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    write_atomic(tmp_path / "epoch", b"1", durable=durable)
    create_atomic(tmp_path / "key", b"1", durable=durable)
    assert synced == (["file", "folder"] * 2 if durable else [])


def test_mode_is_exact_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomic(tmp_path / "public", b"key", mode=0o644)
        write_atomic(tmp_path / "default", b"key")
    finally:
        os.umask(before)
    assert (tmp_path / "public").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "default").stat().st_mode & 0o777 == 0o600


def test_create_never_replaces_a_file(tmp_path: Path) -> None:
    assert create_atomic(tmp_path / "key", b"first")
    assert not create_atomic(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["key"]


def test_one_of_many_creators_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: create_atomic(tmp_path / "key", b"%d" % number), range(64)))
    assert won.count(True) == 1
    assert (tmp_path / "key").read_bytes() == b"%d" % won.index(True)


def test_atomic_path_discards_the_file_of_a_failed_block(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert os.listdir(tmp_path) == []
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"rows")
    assert path.read_bytes() == b"rows"
