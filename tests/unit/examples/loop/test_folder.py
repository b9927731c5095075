from __future__ import annotations

from pathlib import Path

import pytest

from examples.loop.folder import MARK, clear
from local_stack.supervisor.lock import only_one


def test_an_empty_or_new_folder_is_marked(tmp_path: Path) -> None:
    clear(tmp_path / "new")
    assert (tmp_path / "new" / MARK).is_file()
    (tmp_path / "empty").mkdir()
    clear(tmp_path / "empty")
    assert (tmp_path / "empty" / MARK).is_file()


def test_earlier_demo_is_removed(tmp_path: Path) -> None:
    clear(tmp_path)
    (tmp_path / "lake").mkdir()
    clear(tmp_path)
    assert not (tmp_path / "lake").exists()
    assert (tmp_path / MARK).is_file()


def test_data_of_others_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "demo").mkdir()
    (tmp_path / "lake" / "precious").write_text("data")
    with pytest.raises(RuntimeError, match="holds data that the demo did not write"):
        clear(tmp_path)
    assert (tmp_path / "lake" / "precious").read_text() == "data"


def test_a_stack_that_runs_is_not_pulled_from_under(tmp_path: Path) -> None:
    clear(tmp_path)
    (tmp_path / "lake").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisor.json").write_text("{}")
    with pytest.raises(RuntimeError, match="homeostat down --home"):
        clear(tmp_path)
    assert (tmp_path / "lake").is_dir()


def test_a_stack_that_is_only_starting_is_not_pulled_from_under(tmp_path: Path) -> None:
    clear(tmp_path)
    with only_one(tmp_path), pytest.raises(RuntimeError, match="homeostat down --home"):
        clear(tmp_path)
