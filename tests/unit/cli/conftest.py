"""A fake service for the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.cli.fake_service import FakeService, fake_service


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A running fake service without answers."""
    with fake_service() as fake:
        yield fake
