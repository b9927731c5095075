"""The limit of failed logins."""

from __future__ import annotations

import pytest

from services.console.sessions.failed_logins import (
    MAXIMUM_CLIENTS,
    MAXIMUM_FAILURES,
    PERIOD_S,
    FailedLogins,
    TooManyFailures,
)
from tests.unit.services.console.sessions.test_session_store import Ticks


def test_client_is_refused_after_too_many_failures() -> None:
    ticks = Ticks()
    failures = FailedLogins(ticks)
    for _ in range(MAXIMUM_FAILURES):
        failures.check("10.0.0.1")
        failures.record("10.0.0.1")
    with pytest.raises(TooManyFailures, match="10 logins from this address"):
        failures.check("10.0.0.1")
    failures.check("10.0.0.2")
    ticks.now += PERIOD_S
    failures.check("10.0.0.1")
    failures.record("10.0.0.1")
    failures.check("10.0.0.1")


def test_number_of_clients_is_bounded() -> None:
    failures = FailedLogins(Ticks())
    for number in range(MAXIMUM_CLIENTS + 100):
        failures.record(str(number))
    assert len(vars(failures)["_failures"]) == MAXIMUM_CLIENTS
