"""What is asked of the broker, with an admin client that records it. tests/integration/test_broker.py asks a real one."""

from __future__ import annotations

from typing import Any

import pytest

from local_stack.kafka import admin
from shared.contracts import topics


class RecordingAdmin:
    """An admin client of a broker that has one of the topics."""

    def __init__(self) -> None:
        self.created: dict[str, tuple[int, int, dict[str, str]]] = {}

    def __enter__(self) -> RecordingAdmin:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

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
