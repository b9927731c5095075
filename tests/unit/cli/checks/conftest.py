"""Settings for the checks: a home without a stack, and ports on which nothing listens."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings

PORTS = (
    *("inference", "shipper", "drift", "retraining", "sink", "console", "broker", "controller"),
    *("prometheus", "alertmanager"),
)


@pytest.fixture
def settings(tmp_path: Path) -> LocalStackSettings:
    """Settings of an empty home; all ports are free."""
    ports = {f"{name}_port": free_port() for name in PORTS}
    return LocalStackSettings().model_copy(update={"home": tmp_path, **ports})
