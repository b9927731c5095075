"""The homes of running stacks are found by the environment of their processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from local_stack.running_stacks import VARIABLE, is_running, other_stacks, running_homes
from local_stack.settings import LocalStackSettings
from local_stack.state import write_state
from local_stack.supervisor.lock import only_one
from local_stack.supervisor.process_specs import environment
from shared.contracts.stack_state import ProcessState, StackState, state_path


@contextmanager
def process_of(home: Path) -> Iterator[None]:
    """A process with the environment that the supervisor of `home` gives to its processes."""
    (home / "run").mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        env={**os.environ, VARIABLE: str(state_path(home))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


def test_supervised_home_is_found(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with process_of(home), only_one(home):
        assert home in running_homes()
        assert str(home) in other_stacks(tmp_path / "other")
        assert str(home) not in other_stacks(home)


def test_home_without_supervisor_is_not_running(tmp_path: Path) -> None:
    with process_of(tmp_path):
        assert tmp_path not in running_homes()


def test_home_runs_with_a_supervisor_or_with_processes_it_left(tmp_path: Path) -> None:
    with only_one(tmp_path):
        assert is_running(tmp_path)
    this = psutil.Process()
    process = ProcessState("sink", this.pid, this.create_time(), 1, 0, "", "")
    state = StackState(1, 0.0, str(tmp_path), "", "", {}, {}, (process,))
    write_state(tmp_path, state)
    assert is_running(tmp_path)
    write_state(tmp_path, replace(state, processes=(replace(process, created=0.0),)))
    assert not is_running(tmp_path)


def test_supervisor_gives_the_variable_to_its_processes(tmp_path: Path) -> None:
    given = environment(LocalStackSettings(home=tmp_path), {})
    assert given[VARIABLE] == str(state_path(tmp_path))
