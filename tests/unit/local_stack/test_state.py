"""The state file belongs to the home it was written for: a copy of a home does not own the original's processes."""

from __future__ import annotations

import shutil
from pathlib import Path

from local_stack.state import read_state, remove_state, write_state
from shared.contracts.stack_state import StackState


def state_of(home: Path) -> StackState:
    return StackState(
        pid=1,
        created=0.0,
        home=str(home),
        kafka="127.0.0.1:9092",
        started_at="2026-01-01T00:00:00+00:00",
        ports={"drift": 18002},
        urls={},
        processes=(),
    )


def test_written_state_is_read(tmp_path: Path) -> None:
    write_state(tmp_path, state_of(tmp_path))
    assert read_state(tmp_path) == state_of(tmp_path)
    remove_state(tmp_path)
    assert read_state(tmp_path) is None


def test_copied_home_has_no_state(tmp_path: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    write_state(original, state_of(original))
    shutil.copytree(original, copy)
    assert read_state(copy) is None
    assert read_state(original) is not None


def test_moved_or_linked_home_keeps_its_state(tmp_path: Path) -> None:
    original, moved, link = tmp_path / "original", tmp_path / "moved", tmp_path / "link"
    write_state(original, state_of(original))
    original.rename(moved)
    assert read_state(moved) == state_of(original)
    link.symlink_to(moved)
    write_state(moved, state_of(moved))
    assert read_state(link) == state_of(moved)


def test_unreadable_state_is_none(tmp_path: Path) -> None:
    write_state(tmp_path, state_of(tmp_path))
    (tmp_path / "run" / "supervisor.json").write_text("{")
    assert read_state(tmp_path) is None
