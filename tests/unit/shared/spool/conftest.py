"""A spool to write to and a reader that follows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.spool import SpoolWriter


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(root: Path) -> Iterator[SpoolWriter]:
    writer = SpoolWriter.open(root, maximum_bytes=1 << 20)
    yield writer
    writer.close()
