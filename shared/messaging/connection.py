"""A lazy connection to Kafka, shared by producer and consumer: opened on first use and again after a release."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from kafka.errors import KafkaError
from kafka.net import KafkaNetClient

from shared.errors import DependencyUnavailable
from shared.messaging.closed_sockets import CLOSED_SOCKETS

HINT = "check that Kafka runs at the address in HOMEOSTAT_KAFKA; `homeostat doctor` does so"
RETRY_SECONDS = 1.0

C = TypeVar("C")
Explain = Callable[[str, Exception | None], DependencyUnavailable]


def unavailable(bootstrap: str, _: Exception | None) -> DependencyUnavailable:
    """The error of an address where no broker answers."""
    return DependencyUnavailable(f"no Kafka broker answers at {bootstrap}", hint=HINT)


def connected(make: Callable[..., C], **options: Any) -> C:
    """A client of kafka-python: `make(**options)`. If it raises, the sockets and the thread that it leaves behind are closed."""
    opened = []

    def network(**configuration: Any) -> KafkaNetClient:
        opened.append(KafkaNetClient(**configuration | {"proxy_url": CLOSED_SOCKETS}))
        return opened[-1]

    try:
        return make(**options, kafka_client=network)
    except BaseException:
        for client in opened:
            client.close()
        raise


class Connection(Generic[C]):
    """Holds at most one client. After a failed attempt it fails at once for a second, because each attempt blocks its caller.

    Not thread-safe.
    """

    def __init__(
        self,
        bootstrap: str,
        make: Callable[[], C],
        *,
        explain: Explain = unavailable,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`make` connects; if it raises KafkaError or OSError, `explain` says why no broker at `bootstrap` can be used."""
        self._bootstrap = bootstrap
        self._make = make
        self._explain = explain
        self._failure = unavailable(bootstrap, None)
        self._clock = clock
        self._not_before = 0.0
        self.client: C | None = None

    def open(self) -> C:
        """The client; connects if needed. Raises DependencyUnavailable."""
        if self.client is None:
            if self._clock() < self._not_before:
                raise self._failure
            try:
                self.client = self._make()
            except (KafkaError, OSError) as error:
                self._failure = self._explain(self._bootstrap, error)
                self._not_before = self._clock() + RETRY_SECONDS
                raise self._failure from error
        return self.client

    def release(self) -> C | None:
        """Give up the client, which the caller closes; None where there is none."""
        client, self.client = self.client, None
        return client
