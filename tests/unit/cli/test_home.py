"""Which home a command works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.home import NAMED_BY, find_home
from shared.errors import CallerError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and no setting that names a home or a service."""
    monkeypatch.chdir(tmp_path)
    for name in NAMED_BY:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def find(*running: str, given: Path | None = None, url: str = "") -> tuple[Path | None, list[str]]:
    notes: list[str] = []
    home = find_home(given, url, note=notes.append, running=lambda: [Path(home) for home in running])
    return home, notes


def test_home_of_the_running_stack_is_used_and_noted() -> None:
    assert find("/data/stack") == (Path("/data/stack"), ["using the home of the running stack: /data/stack"])


def test_default_without_a_running_stack() -> None:
    assert find() == (None, [])


def test_given_home_is_used() -> None:
    assert find("/data/stack", given=Path("mine")) == (Path("mine"), [])


def test_given_url_needs_no_home() -> None:
    assert find("/data/stack", url="http://127.0.0.1:1") == (None, [])


@pytest.mark.parametrize("name", NAMED_BY)
def test_variable_names_home_or_service(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "something")
    assert find("/data/stack") == (None, [])


def test_home_in_this_folder_is_used(folder: Path) -> None:
    (folder / ".homeostat" / "run").mkdir(parents=True)
    assert find("/data/stack") == (None, [])


def test_folder_without_a_stack_is_no_home(folder: Path) -> None:
    (folder / ".homeostat").mkdir()  # the demo's home lies below it
    assert find("/data/stack")[0] == Path("/data/stack")


def test_several_stacks_are_listed() -> None:
    with pytest.raises(CallerError, match="2 stacks run") as refused:
        find("/data/one", "/data/two")
    assert refused.value.hint == "name a home with --home: /data/one, /data/two"
