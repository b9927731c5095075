"""`homeostat --help` reads like a page, starts quickly, and what one types is completed and corrected."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from cli.exit_codes import BY_ERROR, MEANINGS
from cli.main import PAGE, app
from docs.reference.commands import all_commands, find_command
from shared.errors import HomeostatError
from tests.unit.cli.fake_service import FakeService, fake_service

ROOT = Path(__file__).parents[3]


def page(*words: str, width: int = 80) -> str:
    done = CliRunner().invoke(
        app, [*words, "--help"], env={"COLUMNS": str(width), "TERMINAL_WIDTH": str(width)}
    )
    assert done.exit_code == 0, done.output
    return re.sub("\x1b\\[[0-9;]*m", "", done.output)


def groups() -> dict[str, Any]:
    """The commands and groups of the first level."""
    found: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
    return found


def test_commands_stand_in_panels_one_line_each() -> None:
    shown = page()
    order = [shown.index(f"─ {name} ") for name in ("Start", "Your model", "Inspect", "Decide", "Faults")]
    assert order == sorted(order)
    lines = shown.splitlines()
    for name in groups():
        [place] = [number for number, line in enumerate(lines) if re.match(rf"│ {name} ", line)]
        # The next line is another command or the panel's end: none goes over two.
        assert re.match(r"│ \w|╰", lines[place + 1]), lines[place + 1]
    assert max(map(len, lines)) <= 80


def test_the_first_page_says_where_to_begin_and_what_exit_codes_mean() -> None:
    shown = " ".join(page().split())
    assert "homeostat demo --part 0.1" in shown
    for code, meaning in MEANINGS.items():
        assert f"{code} {re.split('[:;]', meaning)[0]}" in shown


@pytest.mark.parametrize("name", [command.name for command in all_commands()])
def test_each_command_has_an_example_that_it_takes(name: str) -> None:
    shown = page(*name.split(), width=200)
    example = re.search(r"Example: (homeostat .*)", shown)
    assert example is not None, name
    words = shlex.split(example[1].strip())[1:]
    command = find_command(words)
    assert command is not None
    assert command.name == name
    options = {word for word in words if word.startswith("--")}
    assert all(f"[{option}]" in command.usage for option in options)


def test_the_order_of_the_page_is_that_of_the_panels() -> None:
    panels = [entry.panel for entry in PAGE]
    assert panels == sorted(panels, key=panels.index)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["depoly"], "deploy"), (["inject", "drfit"], "drift"), (["status", "--jsno"], "--json")],
)
def test_a_slip_of_the_finger_is_answered_with_what_was_meant(typed: list[str], meant: str) -> None:
    done = CliRunner().invoke(app, typed, env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert done.exit_code == 2
    assert meant in done.output.replace(" ".join(typed), "")


def test_every_error_has_an_exit_code_with_a_meaning() -> None:
    assert {code for _, code in BY_ERROR} < set(MEANINGS)
    tree = {kind for kind in HomeostatError.__subclasses__() if kind.__module__ == HomeostatError.__module__}
    assert {kind for kind, _ in BY_ERROR} == tree


def complete(shell: str, line: str, **environment: str) -> list[str]:
    """What the shell would offer after `line`, by the shell's own protocol."""
    words = line.split(" ")
    given = {
        "bash": {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
    }[shell]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HOMEOSTAT_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli"],
        cwd=ROOT,
        env={**clean, "_HOMEOSTAT_COMPLETE": f"complete_{shell}", **given, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    if shell == "bash":
        return done.stdout.split()
    return re.findall(
        r'^\s*"((?:[^":\\]|\\.)+)"?', done.stdout.replace("_arguments '*: :((", ""), re.MULTILINE
    )


@pytest.fixture
def service() -> Any:
    with fake_service() as fake:
        fake.answers["GET /status.json"] = (
            200,
            {"models": [{"name": name, "version": "ab" * 32} for name in ("parcels", "flights")]},
        )
        fake.answers["GET /runs"] = (
            200,
            {
                "runs": [
                    {"run_id": "run-1", "model": "parcels", "state": "suggested"},
                    {"run_id": "run-2", "model": "parcels", "state": "promoted"},
                    {"run_id": "run-3", "model": "parcels", "state": "waiting_for_approval"},
                ]
            },
        )
        fake.answers["GET /decisions"] = (
            200,
            {
                "decisions": [
                    {**decision("aa" * 16), "needs_acknowledgement": True, "acknowledged": None},
                    {**decision("bb" * 16), "needs_acknowledgement": True, "acknowledged": {"actor": "ada"}},
                    {**decision("cc" * 16), "needs_acknowledgement": False, "acknowledged": None},
                ]
            },
        )
        yield fake


def decision(key: str) -> dict[str, str]:
    return {"cause_key": key, "model": "parcels", "action": "wait", "reason_code": "fault"}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("homeostat releases ", {"parcels", "flights"}),
        ("homeostat releases pa", {"parcels"}),
        ("homeostat approve ", {"run-1", "run-3"}),
        ("homeostat acknowledge ", {"aa" * 16}),
        ("homeostat why run-2", {"run-2"}),
        ("homeostat inject dr", {"drift"}),
    ],
)
def test_the_shell_offers_what_there_is(
    service: FakeService, shell: str, line: str, offered: set[str]
) -> None:
    found = complete(shell, line, HOMEOSTAT_INFERENCE_URL=service.url, HOMEOSTAT_RETRAINING_URL=service.url)
    assert set(found) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("line", ["homeostat releases ", "homeostat approve ", "homeostat inject kill "])
def test_the_shell_is_left_alone_where_nothing_runs(tmp_path: Path, shell: str, line: str) -> None:
    away = {f"HOMEOSTAT_{name}_URL": "http://127.0.0.1:9" for name in ("INFERENCE", "RETRAINING", "DRIFT")}
    assert complete(shell, line, HOMEOSTAT_HOME=str(tmp_path), **away) == []


def test_parts_are_offered_from_the_state_file(tmp_path: Path) -> None:
    part = {"pid": 1, "created": 0.0, "port": 1, "restarts": 0, "log": "", "ready_url": ""}
    state = {
        "pid": 1,
        "created": 0.0,
        "home": str(tmp_path),
        "kafka": "",
        "started_at": "",
        "ports": {},
        "urls": {},
        "processes": [{"name": "sink", **part}, {"name": "drift", **part}],
    }
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisor.json").write_text(json.dumps(state))
    assert complete("bash", "homeostat inject kill ", HOMEOSTAT_HOME=str(tmp_path)) == ["drift", "sink"]
