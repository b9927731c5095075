"""The reader of a whole topic on real Kafka."""

from __future__ import annotations

import time

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from local_stack.kafka.admin import create_topics
from local_stack.kafka.broker import Broker
from shared.contracts.topics import Topic
from shared.messaging.interfaces import Message
from shared.messaging.topic_reader import KafkaTopicReader
from tests.waiting import bound


class Numbers:
    """A topic of two partitions; record n has the value n."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.broker, self.name = broker, name
        self.create()

    def create(self) -> None:
        create_topics(self.broker.bootstrap, [Topic(self.name, 2, "number.v1", "numbers")])

    def delete(self) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        try:
            admin.delete_topics([self.name])
            deadline = time.monotonic() + bound(30)
            while self.name in admin.list_topics():
                assert time.monotonic() < deadline, "the topic is still there"
                time.sleep(0.1)
        finally:
            admin.close()

    def write(self, *numbers: int) -> None:
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap, acks="all")
        try:
            for number in numbers:
                producer.send(self.name, value=b"%d" % number, partition=number % 2).get(timeout=bound(30))
        finally:
            producer.close()

    def reader(self) -> KafkaTopicReader:
        return KafkaTopicReader(self.broker.bootstrap, self.name, "test")


@pytest.fixture
def numbers(kafka_broker: Broker, request: pytest.FixtureRequest) -> Numbers:
    return Numbers(kafka_broker, f"numbers.{request.node.name}"[:100])


def read(reader: KafkaTopicReader, count: int) -> list[int]:
    """The values of the next `count` records, sorted."""
    found: list[Message] = []
    deadline = time.monotonic() + bound(30)
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records"
        found += reader.poll(0.2)
    return sorted(int(message.value) for message in found)


def test_reader_begins_at_the_end_or_where_it_stopped(numbers: Numbers) -> None:
    numbers.write(1, 2, 3, 4)
    reader = numbers.reader()
    assert reader.poll(0.2) == []
    assert reader.positions() == {0: 2, 1: 2}
    numbers.write(5, 6)
    assert read(reader, 2) == [5, 6]
    assert reader.lag() == 0
    stopped = reader.positions()
    reader.close()
    numbers.write(7, 8)
    again = numbers.reader()
    again.seek(stopped)
    assert read(again, 2) == [7, 8]
    again.close()


def test_reader_goes_on_after_a_restart_of_the_broker(numbers: Numbers) -> None:
    reader = numbers.reader()
    reader.seek({0: 0, 1: 0})
    numbers.write(1, 2)
    assert read(reader, 2) == [1, 2]
    numbers.broker.kill()
    assert reader.poll(0.2) == []
    numbers.broker.start()
    numbers.write(3, 4)
    assert read(reader, 2) == [3, 4]
    reader.close()


def test_recreated_topic_has_another_identity(numbers: Numbers) -> None:
    reader = numbers.reader()
    before = reader.identity()
    assert reader.identity() == before
    numbers.delete()
    numbers.create()
    assert reader.identity() != before
    reader.close()
