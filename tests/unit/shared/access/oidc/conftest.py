"""A provider over real HTTP, and verifiers of its tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.identity_provider import IdentityProvider, running_provider


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with running_provider() as running:
        yield running
