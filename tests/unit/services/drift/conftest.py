from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.unit.services.drift.estimators import equal_references_are_fitted_once
from tests.unit.services.drift.installation import Installation
from tests.unit.services.drift.world import World

__all__ = ["equal_references_are_fitted_once"]


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Tracebacks in the log without colours and local variables: drawing them costs seconds."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def installation(world: World) -> Iterator[Installation]:
    installation = Installation(world)
    yield installation
    installation.verdicts.close()
