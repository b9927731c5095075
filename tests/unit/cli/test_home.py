"""Which home a command works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.home import MADE_BY_A_STACK, NAMED_BY, URLS, find_home
from local_stack.supervisor.lock import only_one
from shared.errors import CallerError, OperatorError


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


def test_given_home_is_used_if_its_stack_runs() -> None:
    with only_one(Path("mine")):
        assert find("/data/stack", given=Path("mine")) == (Path("mine"), [])


def test_given_home_with_a_stopped_stack_is_refused(folder: Path) -> None:
    with pytest.raises(OperatorError) as refused:
        find(given=Path("mine"))
    assert refused.value.message == f"the stack of {folder / 'mine'} is not running"
    assert refused.value.hint == "start it with `homeostat up --home mine`"


def test_variable_with_a_stopped_home_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_HOME", "/data/mine")
    with pytest.raises(OperatorError, match="the stack of /data/mine is not running") as refused:
        find("/data/stack")
    assert refused.value.hint == (
        "start it with `homeostat up --home /data/mine`, "
        "or name the home of a running stack with --home: /data/stack"
    )


def test_given_url_wins_over_a_stopped_home() -> None:
    assert find(given=Path("mine"), url="http://127.0.0.1:1") == (Path("mine"), [])


def test_given_home_may_be_stopped_where_the_command_allows_it() -> None:
    home = find_home(Path("mine"), note=lambda _: None, running=list, may_be_stopped=True)
    assert home == Path("mine")


def test_given_url_needs_no_home() -> None:
    assert find("/data/stack", url="http://127.0.0.1:1") == (None, [])


@pytest.mark.parametrize("name", URLS)
def test_variable_that_names_a_service_needs_no_home(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "something")
    assert find("/data/stack") == (None, [])


def test_variable_names_a_running_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_HOME", "mine")
    with only_one(Path("mine")):
        assert find("/data/stack") == (None, [])


def test_running_home_in_this_folder_is_used(folder: Path) -> None:
    with only_one(folder / ".homeostat"):
        assert find("/data/stack") == (None, [])


@pytest.mark.parametrize("made", MADE_BY_A_STACK)
def test_stopped_home_in_this_folder_is_used_if_no_other_stack_runs(folder: Path, made: str) -> None:
    (folder / ".homeostat" / made).mkdir(parents=True)
    assert find() == (None, [])


@pytest.mark.parametrize("made", MADE_BY_A_STACK)
def test_stopped_home_in_this_folder_is_refused_while_others_run(folder: Path, made: str) -> None:
    (folder / ".homeostat" / made).mkdir(parents=True)
    with pytest.raises(OperatorError, match="no stack runs on") as refused:
        find("/data/one", "/data/two")
    assert str(folder / ".homeostat") in refused.value.message
    assert refused.value.hint == "name the home of a running stack with --home: /data/one, /data/two"


def test_stopped_home_is_noted_where_it_may_be_stopped(folder: Path) -> None:
    (folder / ".homeostat" / "run").mkdir(parents=True)
    notes: list[str] = []
    home = find_home(None, note=notes.append, running=lambda: [Path("/data/stack")], may_be_stopped=True)
    assert home is None
    [note] = notes
    assert note.startswith(f"no stack runs on {folder / '.homeostat'}; ")
    assert note.endswith("/data/stack")


def test_folder_without_a_stack_is_no_home(folder: Path) -> None:
    (folder / ".homeostat").mkdir()  # the demo's home lies below it
    assert find("/data/stack")[0] == Path("/data/stack")


def test_several_stacks_are_listed() -> None:
    with pytest.raises(CallerError, match="2 stacks run") as refused:
        find("/data/one", "/data/two")
    assert refused.value.hint == "name the home of a running stack with --home: /data/one, /data/two"
