"""docs/architecture.md is a true map: every module and folder it names exists, and every folder of the program is on it."""

from __future__ import annotations

import re
from pathlib import Path

from docs.generate import ROOT
from tests.repo.tracked import tracked

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PROGRAM = ("backtest", "cli", "homeostat", "local_stack", "services", "shared")
# Folders without modules of their own, or below one that the map describes.
NOT_ON_THE_MAP = {"homeostat", "services", "cli/templates/trainings"}


def named_paths() -> set[str]:
    return set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`", PAGE))


def program_folders() -> set[str]:
    files = [path.relative_to(ROOT) for path in tracked() if path.suffix == ".py"]
    folders = {path.parent for path in files if path.parts[0] in PROGRAM and path.name != "__init__.py"}
    return {
        folder.as_posix() for folder in folders if "migrations" not in folder.parts and folder != Path()
    } - NOT_ON_THE_MAP


def test_every_path_on_the_map_exists() -> None:
    paths = named_paths()
    assert len(paths) > 80
    assert {path for path in paths if not (ROOT / path).exists()} == set()


def test_every_folder_of_the_program_is_on_the_map() -> None:
    assert {folder for folder in program_folders() if f"{folder}/" not in named_paths()} == set()
