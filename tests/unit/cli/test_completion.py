"""Shell completion of names, by the shells' own protocol."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.core

from cli.completion import complete_model, complete_process
from cli.home import NAMED_BY
from local_stack import running_stacks
from tests.unit.cli.fake_service import FakeService, fake_service

ROOT = Path(__file__).parents[3]


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
def test_known_names_are_offered(service: FakeService, shell: str, line: str, offered: set[str]) -> None:
    found = complete(shell, line, HOMEOSTAT_INFERENCE_URL=service.url, HOMEOSTAT_RETRAINING_URL=service.url)
    assert set(found) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize("line", ["homeostat releases ", "homeostat approve ", "homeostat inject kill "])
def test_nothing_is_offered_without_services(tmp_path: Path, shell: str, line: str) -> None:
    unreachable = {
        f"HOMEOSTAT_{name}_URL": "http://127.0.0.1:9" for name in ("INFERENCE", "RETRAINING", "DRIFT")
    }
    assert complete(shell, line, HOMEOSTAT_HOME=str(tmp_path), **unreachable) == []


def write_state(home: Path, **ports: int) -> None:
    """The state file of a stack with two processes."""
    process = {"pid": 1, "created": 0.0, "port": 1, "restarts": 0, "log": "", "ready_url": ""}
    state = {
        "pid": 1,
        "created": 0.0,
        "home": str(home),
        "kafka": "",
        "started_at": "",
        "ports": ports,
        "urls": {},
        "processes": [{"name": "sink", **process}, {"name": "drift", **process}],
    }
    (home / "run").mkdir(parents=True, exist_ok=True)
    (home / "run" / "supervisor.json").write_text(json.dumps(state))


def test_processes_are_offered_from_the_state_file(tmp_path: Path) -> None:
    write_state(tmp_path)
    assert complete("bash", "homeostat inject kill ", HOMEOSTAT_HOME=str(tmp_path)) == ["drift", "sink"]


def test_names_of_the_running_stack_are_offered_in_another_folder(
    tmp_path: Path, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, folder = tmp_path / "running", tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in NAMED_BY:
        monkeypatch.delenv(name, raising=False)
    # The only one of the machine, whatever else runs there.
    monkeypatch.setattr(running_stacks, "running_homes", lambda: [running])
    write_state(running, inference=int(service.url.rpartition(":")[2]))
    context = typer.Context(typer.core.TyperCommand("any"))
    assert complete_model(context, "") == ["flights", "parcels"]
    assert complete_process(context, "") == ["drift", "sink"]
