"""`--home`: every command that has it for a running stack finds the stack in the same way, and says which home it uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.home import NAMED_BY
from cli.main import ENTRIES
from cli.options import StackHome
from local_stack import running_stacks
from tests.unit.cli.command import run

RUN = "run-0123456789abcdef01234567"
COMMANDS = {
    "acknowledge": (RUN,),
    "approve": (RUN,),
    "check": ("rows.parquet", "--model", "parcels"),
    "console": (),
    "deploy": ("project", "--artifact", "."),
    "doctor": (),
    "eda": ("--model", "parcels"),
    "erase": ("--subject", "nobody", "--dry-run"),
    "import": (__file__, "--model", "parcels"),
    "reject": (RUN,),
    "releases": ("parcels",),
    "replay": (__file__, "--model", "parcels", "--delay", "1h"),
    "report": (),
    "reproduce": ("3fa9c1d2",),
    "rollback": ("parcels",),
    "runs": (),
    "status": (),
    "trigger": ("parcels", "--reason", "new rows"),
    "whatif": ("parcels", "--policy", "weekly.yaml"),
    "why": (RUN,),
    "why-not": ("parcels",),
}

# They read files of the home, and need no service.
READ_A_STOPPED_HOME = {"check", "doctor", "eda", "erase", "reproduce"}


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only running home of the machine, whatever else runs there; the current folder is an empty one."""
    home, folder = tmp_path / "running", tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(running_stacks, "running_homes", lambda: [home])
    for name in NAMED_BY:
        monkeypatch.delenv(name, raising=False)
    # No command gets further than its settings, and none calls a service.
    monkeypatch.setenv("HOMEOSTAT_DRIFT_PORT", "wrong")
    return home


def takes_the_running_home(name: str) -> bool:
    """Whether the help of the command's --home promises it."""
    promised = StackHome.__metadata__[0].help  # type: ignore[attr-defined]
    parameters = ENTRIES[name].load().params
    return any(one.name == "home" and one.help == promised for one in parameters)


def test_all_commands_are_listed() -> None:
    assert sorted(COMMANDS) == sorted(name for name in ENTRIES if takes_the_running_home(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_home_of_the_running_stack_is_noted(running: Path, name: str) -> None:
    done = run(name, *COMMANDS[name])
    assert f"using the home of the running stack: {running}" in done.stderr
    assert "HOMEOSTAT_DRIFT_PORT" in done.stderr


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - READ_A_STOPPED_HOME))
def test_stopped_home_here_is_refused_while_another_runs(running: Path, name: str) -> None:
    Path(".homeostat/run").mkdir(parents=True)
    done = run(name, *COMMANDS[name])
    assert done.exit_code == 5, done.output
    assert "no stack runs on" in done.stderr
    assert f"--home: {running}" in done.stderr


@pytest.mark.parametrize("name", sorted(READ_A_STOPPED_HOME))
def test_what_reads_a_stopped_home_notes_the_others(running: Path, name: str) -> None:
    Path(".homeostat/run").mkdir(parents=True)
    done = run(name, *COMMANDS[name])
    assert f"--home: {running}" in done.stderr
    assert "HOMEOSTAT_DRIFT_PORT" in done.stderr
