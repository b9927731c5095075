from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.toy_model import ToyStore
from tests.unit.services.drift.estimators import equal_references_are_fitted_once

__all__ = ["equal_references_are_fitted_once"]


@pytest.fixture
def toys(tmp_path: Path) -> ToyStore:
    return ToyStore(tmp_path)
