"""When an idle shipper may leave the spool unread."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from services.prediction_log.shipper.still_spool import StillSpool

NOW = 1_900_000_000.0


class Clocks:
    wall, monotonic = NOW, 50.0


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "w1").mkdir()
    segment = tmp_path / "w1" / "0000000001-0000000000.spool"
    segment.write_bytes(b"x" * 10)
    for path in (segment, segment.parent, tmp_path):
        os.utime(path, (NOW - 60, NOW - 60))
    return tmp_path


def settled(root: Path, *, is_shipped: bool = True) -> tuple[StillSpool, Clocks]:
    clocks = Clocks()
    still = StillSpool(root, lambda: clocks.wall, lambda: clocks.monotonic)
    still.look()
    still.settle(is_shipped=is_shipped)
    return still, clocks


def test_shipped_spool_is_still_until_a_time_has_passed(spool: Path) -> None:
    still, clocks = settled(spool)
    assert still.is_still()
    clocks.monotonic += 2
    assert not still.is_still()


def append(root: Path) -> None:
    with (root / "w1" / "0000000001-0000000000.spool").open("ab") as segment:
        segment.write(b"y")


def add_segment(root: Path) -> None:
    (root / "w1" / "0000000001-0000000001.spool").write_bytes(b"")


def remove_writer(root: Path) -> None:
    for path in (root / "w1").iterdir():
        path.unlink()
    (root / "w1").rmdir()


@pytest.mark.parametrize("change", [append, add_segment, lambda root: (root / "w2").mkdir(), remove_writer])
def test_change_ends_the_stillness(spool: Path, change: Callable[[Path], None]) -> None:
    still, _ = settled(spool)
    change(spool)
    assert not still.is_still()


def test_change_while_a_round_reads_is_seen(spool: Path) -> None:
    clocks = Clocks()
    still = StillSpool(spool, lambda: clocks.wall, lambda: clocks.monotonic)
    still.look()
    append(spool)
    still.settle(is_shipped=True)
    assert not still.is_still()


def test_spool_with_a_backlog_or_that_is_missing_is_not_still(spool: Path) -> None:
    assert not settled(spool, is_shipped=False)[0].is_still()
    assert not settled(spool / "missing")[0].is_still()


def test_folder_that_was_just_changed_may_change_again_without_showing_it(spool: Path) -> None:
    os.utime(spool / "w1", (NOW - 0.05, NOW - 0.05))
    assert not settled(spool)[0].is_still()
