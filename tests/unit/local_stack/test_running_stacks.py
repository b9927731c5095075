"""The homes of running stacks are found by the environment of their processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_stack.running_stacks import VARIABLE, other_stacks, running_homes
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.lock import only_one
from local_stack.supervisor.process_specs import environment
from shared.contracts.stack_state import state_path


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


def test_supervisor_gives_the_variable_to_its_processes(tmp_path: Path) -> None:
    given = environment(LocalStackSettings(home=tmp_path), {})
    assert given[VARIABLE] == str(state_path(tmp_path))
