"""A lazy connection to Kafka, shared by producer and consumer: opened on first use and again after a release."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from kafka.errors import KafkaError

from shared.errors import DependencyUnavailable

HINT = "check that Kafka runs at the address in HOMEOSTAT_KAFKA; `homeostat doctor` does so"
RETRY_SECONDS = 1.0

C = TypeVar("C")


class Connection(Generic[C]):
    """Holds at most one client. After a failed attempt it fails at once for a second, because each attempt blocks its caller.

    Not thread-safe.
    """

    def __init__(
        self, bootstrap: str, make: Callable[[], C], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`make` connects; if it raises KafkaError or OSError, no broker answers at `bootstrap`."""
        self._bootstrap = bootstrap
        self._make = make
        self._clock = clock
        self._not_before = 0.0
        self.client: C | None = None

    def open(self) -> C:
        """The client; connects if needed. Raises DependencyUnavailable."""
        if self.client is None:
            if self._clock() < self._not_before:
                raise self._unavailable()
            try:
                self.client = self._make()
            except (KafkaError, OSError) as error:
                self._not_before = self._clock() + RETRY_SECONDS
                raise self._unavailable() from error
        return self.client

    def release(self) -> C | None:
        """Give up the client, which the caller closes; None where there is none."""
        client, self.client = self.client, None
        return client

    def _unavailable(self) -> DependencyUnavailable:
        return DependencyUnavailable(f"no Kafka broker answers at {self._bootstrap}", hint=HINT)
