"""A connection to Kafka that is made when it is first needed, and again after it was let go."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from kafka.errors import KafkaError

from shared.errors import DependencyUnavailable

HINT = "see that Kafka runs at the address in HOMEOSTAT_KAFKA; `homeostat doctor` checks it"
RETRY_SECONDS = 1.0

C = TypeVar("C")


class Connection(Generic[C]):
    """Holds at most one client. After a failed attempt the next waits a second: each blocks its caller until it gives up.

    Not for several threads; who shares it holds a lock.
    """

    def __init__(
        self, bootstrap: str, make: Callable[[], C], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`make` connects; what it raises of KafkaError and OSError means that no broker answers at `bootstrap`."""
        self._bootstrap = bootstrap
        self._make = make
        self._clock = clock
        self._not_before = 0.0
        self.client: C | None = None

    def open(self) -> C:
        """The client, connected now where there is none. Raises DependencyUnavailable."""
        if self.client is None:
            if self._clock() < self._not_before:
                raise self._away()
            try:
                self.client = self._make()
            except (KafkaError, OSError) as error:
                self._not_before = self._clock() + RETRY_SECONDS
                raise self._away() from error
        return self.client

    def release(self) -> C | None:
        """Let go of the client, which the caller ends; None where there is none."""
        client, self.client = self.client, None
        return client

    def _away(self) -> DependencyUnavailable:
        return DependencyUnavailable(f"no Kafka broker answers at {self._bootstrap}", hint=HINT)
