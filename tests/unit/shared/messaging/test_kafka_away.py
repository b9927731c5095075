"""Without a broker nothing blocks for long and nothing fails to start."""

from __future__ import annotations

import socket
import time

import pytest

from shared.errors import DependencyUnavailable
from shared.messaging.consumer import open_consumer
from shared.messaging.producer import open_producer


@pytest.fixture
def nobody() -> str:
    """An address where no broker listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def test_opening_is_instant_and_sending_says_who_is_away(nobody: str) -> None:
    begun = time.monotonic()
    producer = open_producer(nobody, "test", connect_seconds=0.3)
    assert time.monotonic() - begun < 0.1
    with pytest.raises(DependencyUnavailable, match=f"no Kafka broker answers at {nobody}"):
        producer.send("topic", None, b"value", [])
    assert time.monotonic() - begun < 5
    producer.close()


def test_a_failed_connection_is_not_tried_again_at_once(nobody: str) -> None:
    producer = open_producer(nobody, "test", connect_seconds=0.3)
    with pytest.raises(DependencyUnavailable):
        producer.send("topic", None, b"value", [])
    begun = time.monotonic()
    with pytest.raises(DependencyUnavailable):
        producer.send("topic", None, b"value", [])
    assert time.monotonic() - begun < 0.5
    producer.flush(1)
    producer.close()


def test_polling_finds_nothing_and_committing_says_why(nobody: str) -> None:
    consumer = open_consumer(nobody, ["topic"], "group", "test", connect_seconds=0.3)
    assert consumer.poll(0.1) == []
    assert list(consumer.assigned()) == []
    assert consumer.lag() == {}
    consumer.rewind()
    with pytest.raises(DependencyUnavailable, match="not connected"):
        consumer.commit({})
    with pytest.raises(DependencyUnavailable, match="no Kafka broker answers"):
        consumer.identities(["topic"])
    consumer.close()
