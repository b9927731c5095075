from __future__ import annotations

import gc
import os
import threading
from functools import partial
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaConnectionError, KafkaError

from shared.errors import DependencyUnavailable
from shared.messaging.connection import HINT, Connection, connected


class Broker:
    """Makes clients, unless it is away; its clock stands still until it is moved."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.attempts = 0
        self.seconds = 0.0
        self.connection = Connection("broker:9092", self._connect, clock=lambda: self.seconds)

    def _connect(self) -> str:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        return f"client {self.attempts}"


def test_client_is_made_on_demand_and_again_after_release() -> None:
    broker = Broker()
    assert broker.connection.client is None
    assert [broker.connection.open(), broker.connection.open()] == ["client 1", "client 1"]
    assert broker.connection.release() == "client 1"
    assert broker.connection.client is None
    assert broker.connection.release() is None
    assert broker.connection.open() == "client 2"


@pytest.mark.parametrize("error", [KafkaConnectionError("refused"), OSError("no route")])
def test_no_new_attempt_within_a_second_of_a_failure(error: Exception) -> None:
    broker = Broker()
    broker.error = error
    for seconds, attempts in ((0.0, 1), (0.0, 1), (0.9, 1), (1.0, 2), (1.5, 2)):
        broker.seconds = seconds
        with pytest.raises(DependencyUnavailable, match="no Kafka broker answers at broker:9092") as caught:
            broker.connection.open()
        assert caught.value.hint == HINT
        assert broker.attempts == attempts
    broker.error, broker.seconds = None, 2.0
    assert broker.connection.open() == "client 3"


def test_unrelated_error_is_not_translated() -> None:
    broker = Broker()
    broker.error = TypeError("a wrong argument")
    with pytest.raises(TypeError):
        broker.connection.open()


@pytest.mark.parametrize(
    "client",
    [partial(KafkaProducer, max_block_ms=100), partial(KafkaConsumer, group_id="a"), KafkaAdminClient],
    ids=["producer", "consumer", "admin"],
)
def test_failed_attempts_leave_nothing_open(client: Any) -> None:
    """Their constructors start a thread and open sockets before they find no broker. Nothing waits for a collection of cycles."""
    held = []
    gc.disable()
    try:
        for _ in range(4):
            with pytest.raises(KafkaError):
                connected(client, bootstrap_servers=["127.0.0.1:1"], bootstrap_timeout_ms=50)
            held.append((threading.active_count(), len(os.listdir("/proc/self/fd"))))
    finally:
        gc.enable()
    assert held[1:] == held[:1] * 3
