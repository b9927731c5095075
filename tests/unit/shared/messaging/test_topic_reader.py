"""A reader without a broker, and on a client with memory: where it begins, and where it goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaError

from shared.errors import DependencyUnavailable
from shared.messaging import topic_reader as reader_module
from shared.messaging.polling import fetch_wait
from shared.messaging.topic_reader import KafkaTopicReader


class Client:
    """A topic with `partitions` of ten records each; `made` are all clients, in order."""

    made: ClassVar[list[Client]] = []
    partitions: ClassVar[int] = 2

    def __init__(self, **_: Any) -> None:
        self.at: dict[int, int] = {}
        self.failing = self.closed = False
        self._fetcher = SimpleNamespace(config={})
        Client.made.append(self)

    def partitions_for_topic(self, _: str) -> set[int] | None:
        return set(range(self.partitions)) or None

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("topic", number) for number in self.at}

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.at = {place.partition: 0 for place in partitions}

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 10)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.at[place.partition] = offset

    def highwater(self, _: TopicPartition) -> int:
        return 10

    def poll(self, **_: Any) -> dict[Any, Any]:
        if self.failing:
            raise KafkaError("gone")
        polled = {}
        for number, offset in self.at.items():
            if offset < 10:
                polled[TopicPartition("topic", number)] = [Record(number, offset)]
                self.at[number] = offset + 1
        return polled

    def close(self, **_: Any) -> None:
        self.closed = True


class Record:
    key, value, headers, timestamp = b"k", b"v", (), 5

    def __init__(self, number: int, offset: int) -> None:
        self.topic, self.partition, self.offset = "topic", number, offset


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> KafkaTopicReader:
    monkeypatch.setattr(Client, "made", [])
    monkeypatch.setattr(Client, "partitions", 2)
    monkeypatch.setattr(reader_module, "KafkaConsumer", Client)
    return KafkaTopicReader("127.0.0.1:1", "topic", "test")


def test_without_positions_only_new_records_are_read(reader: KafkaTopicReader) -> None:
    assert reader.positions() == {}
    assert reader.poll(0.01) == []
    assert (reader.positions(), reader.lag()) == ({0: 10, 1: 10}, 0)


def test_broker_holds_fetches_longer_while_no_records_come(
    reader: KafkaTopicReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_wait, "_IDLE_AFTER", 0.0)
    assert reader.poll(0.01) == []
    assert Client.made[0]._fetcher.config == {"fetch_max_wait_ms": fetch_wait.IDLE_MILLISECONDS}


def test_reading_begins_at_the_positions_given(reader: KafkaTopicReader) -> None:
    reader.seek({0: 8})
    read = [(message.partition.number, message.offset) for message in reader.poll(0.01)]
    assert read == [(0, 8), (1, 0)], "a partition that was never read is read from its beginning"
    assert (reader.positions(), reader.lag()) == ({0: 9, 1: 1}, 10)


def test_after_a_failure_reading_goes_on_where_it_was(reader: KafkaTopicReader) -> None:
    reader.seek({0: 3, 1: 5})
    reader.poll(0.01)
    Client.made[0].failing = True
    assert reader.poll(0.01) == []
    assert Client.made[0].closed
    assert [message.offset for message in reader.poll(0.01)] == [4, 6]


def test_new_partitions_are_read_from_their_beginning(
    reader: KafkaTopicReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.poll(0.01)
    monkeypatch.setattr(Client, "partitions", 3)
    assert reader.poll(0.01) == [], "not looked for with every poll"
    monkeypatch.setattr(reader, "_look_again", 0.0)
    assert [(message.partition.number, message.offset) for message in reader.poll(0.01)] == [(2, 0)]


def test_without_broker_or_topic_poll_is_empty(
    reader: KafkaTopicReader, monkeypatch: pytest.MonkeyPatch, no_broker: str
) -> None:
    monkeypatch.setattr(Client, "partitions", 0)
    assert reader.poll(0.01) == []
    monkeypatch.undo()
    lonely = KafkaTopicReader(no_broker, "topic", "test", connect_seconds=0.3)
    assert lonely.poll(0.1) == []
    assert (lonely.positions(), lonely.lag()) == ({}, 0)
    with pytest.raises(DependencyUnavailable, match="no Kafka broker answers"):
        lonely.identity()
    lonely.close()
