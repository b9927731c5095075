"""Settings for the checks: a home without a stack, and ports on which nothing listens; and the state file of a stack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from local_stack.state import write_state
from shared.contracts.stack_state import ProcessState, StackState

PORTS = (
    *("inference", "shipper", "drift", "retraining", "sink", "console", "broker", "controller"),
    *("prometheus", "alertmanager"),
)


@pytest.fixture
def settings(tmp_path: Path) -> LocalStackSettings:
    """Settings of an empty home; all ports are free."""
    ports = {f"{name}_port": free_port() for name in PORTS}
    return LocalStackSettings().model_copy(update={"home": tmp_path, **ports})


@pytest.fixture
def started(settings: LocalStackSettings) -> Callable[..., None]:
    """Writes the state file of a stack on the home of `settings`, with the given ports and processes."""

    def write(*processes: ProcessState, **ports: int) -> None:
        write_state(settings.home, StackState(1, 0.0, "", "", "", ports, {}, processes))

    return write
