from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.toy_model import ToyStore


@pytest.fixture
def toys(tmp_path: Path) -> ToyStore:
    return ToyStore(tmp_path)
