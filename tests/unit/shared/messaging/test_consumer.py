"""Without a broker the consumer starts, polls nothing and reports why."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from shared.errors import DependencyUnavailable
from shared.messaging import consumer as consumer_module
from shared.messaging.consumer import open_consumer
from shared.messaging.polling import assignment_watch, fetch_wait


class Member:
    """A client that its group's leader gave no partitions; `made` are all such clients, in order."""

    made: ClassVar[list[Member]] = []

    def __init__(self, **_: Any) -> None:
        self.closed = False
        self._fetcher = SimpleNamespace(config={})
        Member.made.append(self)

    def subscribe(self, topics: list[str]) -> None:
        assert topics == ["topic"]

    def poll(self, **_: Any) -> dict[Any, Any]:
        return {}

    def assignment(self) -> set[Any]:
        return set()

    def close(self, **_: Any) -> None:
        self.closed = True


def test_member_without_partitions_leaves_and_joins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Member, "made", [])
    monkeypatch.setattr(consumer_module, "KafkaConsumer", Member)
    monkeypatch.setattr(assignment_watch, "FIRST_S", 0.05)
    consumer = open_consumer("127.0.0.1:1", ["topic"], "group", "test")
    assert consumer.poll(0.01) == []
    time.sleep(0.06)
    assert consumer.poll(0.01) == []
    assert consumer.poll(0.01) == []
    assert [member.closed for member in Member.made] == [True, False]


def test_broker_holds_fetches_longer_while_no_records_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Member, "made", [])
    monkeypatch.setattr(consumer_module, "KafkaConsumer", Member)
    monkeypatch.setattr(fetch_wait, "_IDLE_AFTER", 0.0)
    open_consumer("127.0.0.1:1", ["topic"], "group", "test").poll(0.01)
    assert Member.made[0]._fetcher.config == {"fetch_max_wait_ms": fetch_wait.IDLE_MILLISECONDS}


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
