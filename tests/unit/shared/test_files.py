"""Atomic writes: old content or new, never a part of it; nothing left behind. Bounded reads: regular files only."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stat import S_ISDIR
from threading import Thread

import pytest

from shared import files
from shared.files import (
    UnusableFile,
    atomic_path,
    copy_regular,
    create_atomic,
    list_folder,
    read_regular,
    write_atomic,
)


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


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "folder" / "file").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"secret")
    return root


def test_regular_file_is_read(tree: Path, tmp_path: Path) -> None:
    path = tree / "folder" / "file"
    assert read_regular(path, maximum_bytes=7) == b"content"
    assert read_regular(path, maximum_bytes=7, root=tree) == b"content"
    copy_regular(path, tmp_path / "copy", maximum_bytes=7)
    assert (tmp_path / "copy").read_bytes() == b"content"
    with pytest.raises(FileNotFoundError):
        read_regular(tree / "none", maximum_bytes=7)
    with pytest.raises(FileNotFoundError):
        read_regular(tree / "no\0ne", maximum_bytes=7)


@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "link", "dangling"])
def test_what_is_no_regular_file_is_refused_at_once(tree: Path, tmp_path: Path, kind: str) -> None:
    path = tree / "folder" / "other"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        path.symlink_to(tmp_path / ("secret" if kind == "link" else "none"))
    error: list[BaseException] = []

    def read() -> None:
        try:
            read_regular(path, maximum_bytes=100)
        except UnusableFile as problem:
            error.append(problem)

    thread = Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert error, "it is still read"


def test_file_is_read_up_to_its_limit(tree: Path) -> None:
    with pytest.raises(UnusableFile, match="larger than 6 bytes"):
        read_regular(tree / "folder" / "file", maximum_bytes=6)
    # Its size is 0 and it is never at its end: the read itself is bounded, too.
    with pytest.raises(UnusableFile, match="larger than 10 bytes"):
        read_regular(Path("/proc/self/status"), maximum_bytes=10)


def test_links_below_the_root_are_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(UnusableFile, match="symbolic link"):
        read_regular(tree / "link" / "file", maximum_bytes=100, root=tree)
    with pytest.raises(UnusableFile, match="symbolic link"):
        list_folder(tree / "link", root=tree)
    (tmp_path / "to-root").symlink_to(tree)
    linked = tmp_path / "to-root"
    assert read_regular(linked / "folder" / "file", maximum_bytes=7, root=linked) == b"content", (
        "the root may be one"
    )
    assert list_folder(linked, root=linked) == {"folder": True, "link": True}
    assert list_folder(tree / "folder", root=tree) == {"file": False}
    assert list_folder(tree / "none" / "below", root=tree) == {}
