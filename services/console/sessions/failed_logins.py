"""Limits how often a client may try a wrong key or code, or send the identity provider a wrong answer.

A valid key or code is accepted all the same: it cannot be guessed, and the person may share the address with whoever guesses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.errors import CallerError

MAXIMUM_FAILURES: Final = 10
PERIOD_S: Final = 60.0
MAXIMUM_CLIENTS: Final = 1024


class TooManyFailures(CallerError):
    """The client has failed too often to be tried again now."""

    status = 429


class FailedLogins:
    """Failures by client address. `ticks` is a monotonic clock in seconds. For one event loop."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._failures: dict[str, tuple[float, int]] = {}  # since when, and how many

    def check(self, client: str) -> None:
        """Raises TooManyFailures."""
        since, failures = self._failures.get(client, (0.0, 0))
        if failures >= MAXIMUM_FAILURES and self._ticks() - since < PERIOD_S:
            raise TooManyFailures(
                f"{failures} logins from this address have failed within a minute",
                hint="wait a minute, then log in with a valid key",
            )

    def record(self, client: str) -> None:
        """Count a failure."""
        now = self._ticks()
        since, failures = self._failures.pop(client, (now, 0))
        if now - since >= PERIOD_S:
            since, failures = now, 0
        while len(self._failures) >= MAXIMUM_CLIENTS:
            del self._failures[next(iter(self._failures))]
        self._failures[client] = since, failures + 1
