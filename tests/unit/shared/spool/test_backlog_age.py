"""A spool that is bounded by the age of what waits."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shared.spool import SpoolWriter
from shared.spool.backlog_age import BacklogAge
from shared.spool.checkpoint import Position, write_checkpoint
from shared.spool.reader import SpoolReader
from tests.fakes.rows import append_rows


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_age_is_that_of_the_oldest_row_that_is_not_shipped(tmp_path: Path) -> None:
    clock = Clock()
    age = BacklogAge(tmp_path, 1, clock)
    assert age.seconds() == 0
    age.note(0, 0, 10)
    clock.now += 5
    age.note(0, 10, 20)
    assert age.seconds() == 5
    write_checkpoint(tmp_path, Position(1, 0, 10))
    clock.now += 2
    assert age.seconds() == 2
    write_checkpoint(tmp_path, Position(1, 0, 20))
    clock.now += 3
    assert age.seconds() == 0
    clock.now += 50
    age.note(1, 0, 10)
    clock.now += 1
    assert age.seconds() == 1


def test_rows_of_an_earlier_process_count(root: Path) -> None:
    earlier = SpoolWriter.open(root, maximum_bytes=1 << 20)
    append_rows(earlier, 0)
    append_rows(earlier, 1)
    earlier.close()
    folder = root / earlier.writer
    written = next(folder.glob("*.spool")).stat().st_mtime
    clock = Clock()
    clock.now = written + 40
    assert BacklogAge(folder, 2, clock).seconds() == 40
    reader = SpoolReader(folder)
    first, second = reader.read()
    reader.acknowledge(first.end)
    assert BacklogAge(folder, 2, clock).seconds() == 40
    reader.acknowledge(second.end)
    assert list(folder.glob("*.spool")), "the reader keeps the last segment"
    assert BacklogAge(folder, 2, clock).seconds() == 0


@pytest.mark.parametrize("tail", [b"", b"HSP1\xff\x00\x00\x00half", b"corrupt"])
def test_a_restart_long_after_all_was_shipped_drops_nothing(root: Path, tail: bytes) -> None:
    earlier = SpoolWriter.open(root, maximum_bytes=1 << 20, maximum_seconds=30)
    append_rows(earlier, 0)
    earlier.close()
    [segment] = (root / earlier.writer).glob("*.spool")
    segment.write_bytes(segment.read_bytes() + tail)
    os.utime(segment, (1000.0, 1000.0))
    reader = SpoolReader(root / earlier.writer)
    again = SpoolWriter.open(root, maximum_bytes=1 << 20, maximum_seconds=30)
    assert again.writer == earlier.writer
    assert not append_rows(again, 0), "the earlier row waits"
    reader.acknowledge(reader.read()[-1].end)
    assert reader.read() == []
    again._age._looked = float("-inf")
    assert append_rows(again, 1)
    assert len(reader.read()) == 1
    again.close()


def test_a_checkpoint_that_could_not_be_written_is_written_later(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, maximum_seconds=30)
    clock = spool._age._clock = Clock()
    append_rows(spool, 0)
    (root / spool.writer / "checkpoint.json").mkdir()  # a folder cannot be replaced by a file
    reader = SpoolReader(root / spool.writer)
    reader.acknowledge(reader.read()[-1].end)
    clock.now += 31
    assert not append_rows(spool, 1)
    (root / spool.writer / "checkpoint.json").rmdir()
    assert reader.read() == []
    clock.now += 2
    assert append_rows(spool, 2)
    spool.close()


def test_a_folder_that_cannot_be_listed_loses_no_row(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, maximum_seconds=30)
    clock = spool._age._clock = Clock()
    assert append_rows(spool, 0)
    clock.now += 2
    assert append_rows(spool, 1)

    def fail(_: Path) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", fail)
        clock.now += 2
        assert append_rows(spool, 2)
    assert spool.statistics().last_error == "the spool cannot be listed: Too many open files"
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", fail)
        clock.now += 30
        assert not append_rows(spool, 3), "the age of the oldest row known before"
    assert "waits for more than 30 s" in spool.statistics().last_error
    assert sum(spool.statistics().appended.values()) == 3
    assert sum(spool.statistics().dropped.values()) == 1
    spool.close()


def test_rows_are_dropped_beyond_the_age(root: Path) -> None:
    spool = SpoolWriter.open(root, maximum_bytes=1 << 20, maximum_seconds=30)
    clock = spool._age._clock = Clock()
    assert append_rows(spool, 0)
    clock.now += 31
    assert not append_rows(spool, 1)
    assert "waits for more than 30 s" in spool.statistics().last_error
    reader = SpoolReader(root / spool.writer)
    reader.acknowledge(reader.read()[-1].end)
    clock.now += 2
    assert append_rows(spool, 2)
    spool.close()
