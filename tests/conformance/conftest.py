from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.toy_model import ToyStore
from tests.object_stores import S3Server, running_s3
from tests.unit.services.drift.estimators import equal_references_are_fitted_once

__all__ = ["equal_references_are_fitted_once"]


@pytest.fixture
def toys(tmp_path: Path) -> ToyStore:
    return ToyStore(tmp_path)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A running S3 server; each test makes a bucket of its own."""
    with running_s3() as server:
        yield server
