"""When the spool is synced to the disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from shared.spool import SpoolWriter
from shared.spool.reader import SpoolReader
from tests.fakes.rows import append_rows


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were synced, in order."""
    found: list[str] = []
    for name in ("fsync", "fdatasync"):
        real = getattr(os, name)

        def sync(descriptor: int, real: object = real) -> None:
            found.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
            real(descriptor)  # type: ignore[operator]

        monkeypatch.setattr(os, name, sync)
    return found


def test_never_syncs_nothing(root: Path, synced: list[str]) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20)
    assert root.name not in synced
    synced.clear()
    append_rows(spool, 0, 3)
    spool.close()
    assert synced == []


@pytest.mark.parametrize("fsync", ["interval", "always"])
def test_the_name_of_a_new_writers_folder_is_synced_once(root: Path, synced: list[str], fsync: str) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, segment_bytes=500, fsync=fsync)
    assert synced.count(root.name) == 1
    for row in range(3):
        append_rows(spool, row)
    spool.close()
    assert synced.count(root.name) == 1


def test_always_syncs_before_it_returns(root: Path, synced: list[str]) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, segment_bytes=500, fsync="always")
    for row in range(3):
        synced.clear()
        assert append_rows(spool, row)
        assert synced[-1] == sorted(path.name for path in (root / spool.writer).glob("*.spool"))[-1]
    assert spool.writer in synced, "the folder of a new segment"
    spool.close()


def test_interval_syncs_soon_and_at_the_end(root: Path, synced: list[str]) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, fsync="interval", sync_seconds=0.02)
    synced.clear()
    append_rows(spool, 0)
    [segment] = (root / spool.writer).glob("*.spool")
    deadline = time.monotonic() + 10
    while segment.name not in synced and time.monotonic() < deadline:
        time.sleep(0.01)
    assert segment.name in synced
    slow = SpoolWriter.open(root, maximum_bytes=1 << 20, fsync="interval", sync_seconds=3600)
    append_rows(slow, 0)
    synced.clear()
    slow.close()
    assert segment.name in synced
    spool.close()


def test_a_failed_sync_keeps_the_rows_and_is_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, fsync="always")

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    assert append_rows(spool, 0, 2)
    statistics = spool.statistics()
    assert (statistics.sync_failures, statistics.last_error) == (
        1,
        "the spool cannot be synced: Input/output error",
    )
    assert len(SpoolReader(root / spool.writer).read()) == 1
    spool.close()
