"""What is asked of the broker, with an admin client that records it. tests/integration/test_broker.py asks a real one."""

from __future__ import annotations

from typing import Any

import pytest

from local_stack.kafka import admin
from shared.contracts import topics
from shared.errors import DependencyUnavailable


class RecordingAdmin:
    """An admin client of a broker that has one of the topics."""

    def __init__(self) -> None:
        self.created: dict[str, tuple[int, int, dict[str, str]]] = {}
        self.asked, self.brokers = 0, 3

    def __enter__(self) -> RecordingAdmin:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def describe_cluster(self) -> dict[str, list[int]]:
        self.asked += 1
        return {"brokers": list(range(min(self.asked, self.brokers)))}

    def list_topics(self) -> list[str]:
        return [topics.VERDICTS.name, "of-somebody-else"]

    def create_topics(self, wanted: list[Any]) -> None:
        self.created = {
            one.name: (one.num_partitions, one.replication_factor, one.topic_configs) for one in wanted
        }

    def wait_for_topics(self, names: list[str], timeout_ms: int) -> None:
        assert names == [topic.name for topic in topics.ALL]


@pytest.mark.parametrize(
    ("replication", "copies", "configs"),
    [
        (0, -1, {}),
        (1, 1, {}),
        (2, 2, {}),
        (3, 3, {"min.insync.replicas": "2"}),
        (5, 5, {"min.insync.replicas": "3"}),
    ],
)
def test_missing_topics_get_copies_and_a_majority_in_sync(
    monkeypatch: pytest.MonkeyPatch, replication: int, copies: int, configs: dict[str, str]
) -> None:
    client = RecordingAdmin()
    monkeypatch.setattr(admin, "_admin", lambda *_: client)
    admin.create_topics("broker:9092", topics.ALL, replication=replication)
    assert client.created == {
        topic.name: (topic.partitions, copies, configs) for topic in topics.ALL if topic != topics.VERDICTS
    }


def test_wait_ends_when_all_brokers_are_in_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """They join one after the other: until the third is there, no topic can have three copies."""
    client = RecordingAdmin()
    monkeypatch.setattr(admin, "_admin", lambda *_: client)
    admin.wait_for_broker("broker:9092", deadline_s=30, count=3)
    assert client.asked == 3


def test_missing_broker_is_counted_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    client = RecordingAdmin()
    monkeypatch.setattr(admin, "_admin", lambda *_: client)
    with pytest.raises(DependencyUnavailable, match="3 of 4 brokers"):
        admin.wait_for_broker("broker:9092", deadline_s=0.5, count=4)
