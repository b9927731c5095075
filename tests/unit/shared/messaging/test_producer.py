"""Without a broker the producer starts, fails fast and does not block."""

from __future__ import annotations

import time

import pytest

from shared.errors import DependencyUnavailable
from shared.messaging.producer import open_producer
from tests.waiting import bound


def test_opening_is_instant_and_sending_names_the_broker(no_broker: str) -> None:
    begun = time.monotonic()
    producer = open_producer(no_broker, "test", connect_seconds=0.3)
    assert time.monotonic() - begun < bound(0.1)
    with pytest.raises(DependencyUnavailable, match=f"no Kafka broker answers at {no_broker}"):
        producer.send("topic", None, b"value", [])
    assert time.monotonic() - begun < bound(5)
    producer.close()


def test_failed_connection_is_not_retried_at_once(no_broker: str) -> None:
    producer = open_producer(no_broker, "test", connect_seconds=0.3)
    with pytest.raises(DependencyUnavailable):
        producer.send("topic", None, b"value", [])
    begun = time.monotonic()
    with pytest.raises(DependencyUnavailable):
        producer.send("topic", None, b"value", [])
    assert time.monotonic() - begun < bound(0.5)
    producer.flush(1)
    producer.close()
