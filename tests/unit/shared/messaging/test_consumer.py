"""Without a broker the consumer starts, polls nothing and reports why."""

from __future__ import annotations

import pytest

from shared.errors import DependencyUnavailable
from shared.messaging.consumer import open_consumer


def test_without_broker_poll_is_empty_and_commit_raises(no_broker: str) -> None:
    consumer = open_consumer(no_broker, ["topic"], "group", "test", connect_seconds=0.3)
    assert consumer.poll(0.1) == []
    assert list(consumer.assigned()) == []
    assert consumer.lag() == {}
    consumer.rewind()
    with pytest.raises(DependencyUnavailable, match="not connected"):
        consumer.commit({})
    with pytest.raises(DependencyUnavailable, match="no Kafka broker answers"):
        consumer.identities(["topic"])
    consumer.close()
