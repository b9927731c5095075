"""The folders of a run: created once, and never somebody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from services.retraining.runs.workspace import RunFolder
from shared.errors import IntegrityError


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "run-1")


def test_folders_are_created_for_their_owner_only(folder: RunFolder) -> None:
    folder.create(is_new=True)
    assert [stat.S_IMODE(one.stat().st_mode) for one in (folder.root, folder.evaluation)] == [0o700] * 2


def test_killed_run_continues_in_its_folders(folder: RunFolder) -> None:
    folder.create(is_new=True)
    folder.create(is_new=True)
    (folder.root / "trained.json").write_text("{}")
    folder.create(is_new=False)
    assert (folder.root / "trained.json").is_file()


@pytest.mark.parametrize("place", ["root", "evaluation"])
def test_planted_folder_is_not_used(folder: RunFolder, place: str) -> None:
    """With a model in it, retraining would package, sign and release that."""
    planted = getattr(folder, place)
    planted.mkdir(parents=True)
    (planted / "trained.json").write_text("{}")
    with pytest.raises(IntegrityError, match="has not created it"):
        folder.create(is_new=True)


@pytest.mark.parametrize("is_new", [True, False])
def test_link_to_another_folder_is_not_used(folder: RunFolder, tmp_path: Path, is_new: bool) -> None:
    folder.root.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    folder.root.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError):
        folder.create(is_new=is_new)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_folder_of_another_user_is_not_used(folder: RunFolder) -> None:
    folder.root.mkdir(parents=True)
    os.chown(folder.root, 12345, -1)
    with pytest.raises(IntegrityError):
        folder.create(is_new=False)
