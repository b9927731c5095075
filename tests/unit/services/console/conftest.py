"""A busy machine is no service that does not respond: the fake loop answers at once, however late this process gets to run."""

from __future__ import annotations

import pytest

from services.console.aggregation import poller
from tests.waiting import bound


@pytest.fixture(autouse=True)
def patient_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll ends when all responses are in. A test of services that hang sets the times itself."""
    for name in ("POLL_WAIT_S", "FIRST_POLL_WAIT_S"):
        monkeypatch.setattr(poller, name, bound(30))
