"""What our code expects of a broker, held against Kafka and against the broker with memory the other tests use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

import pytest

from shared.contracts.topics import DEAD_LETTERS, VERDICTS
from shared.errors import DependencyUnavailable
from shared.messaging.consumer import open_consumer
from shared.messaging.interfaces import Consumer, Message, Partition, Producer, RecordRefused
from shared.messaging.producer import open_producer
from tests.fakes.kafka import FakeBroker
from tests.waiting import time_factor

TOPIC = VERDICTS.name
PLACE = Partition(TOPIC, 0)


@dataclass
class Parts:
    """A way to make producers and consumers of the broker under test."""

    producer: Producer
    consumer: Callable[[str], Consumer]


@pytest.fixture(params=["fake", "kafka"])
def parts(request: pytest.FixtureRequest) -> Iterator[Parts]:
    made: list[Consumer] = []
    if request.param == "fake":
        broker = FakeBroker()
        yield Parts(broker.producer(), lambda group: broker.consumer([TOPIC], group))
        return
    bootstrap = request.getfixturevalue("kafka_broker").bootstrap

    def consumer(group: str) -> Consumer:
        made.append(open_consumer(bootstrap, [TOPIC], group, "conformance"))
        return made[-1]

    producer = open_producer(bootstrap, "conformance", request_bytes=32 << 20)
    yield Parts(producer, consumer)
    producer.close()
    for one in made:
        one.close()


@pytest.fixture
def group() -> str:
    return uuid4().hex


def send(parts: Parts, *values: bytes) -> None:
    for value in values:
        parts.producer.send(TOPIC, b"key", value, [("name", b"text")]).result(10)


def take(consumer: Consumer, wanted: Sequence[bytes], seconds: float = 60) -> list[Message]:
    """Records among `wanted` until all are there; the topic may hold others' records too."""
    found: list[Message] = []
    deadline = time.monotonic() + seconds * time_factor()
    while len(found) < len(wanted) and time.monotonic() < deadline:
        found.extend(message for message in consumer.poll(0.2) if message.value in wanted)
    return found


def values_for(name: str) -> list[bytes]:
    return [f"{name} {uuid4().hex} {number}".encode() for number in range(3)]


def test_a_new_group_reads_from_the_earliest_record_in_order(parts: Parts, group: str) -> None:
    values = values_for("order")
    send(parts, *values)
    found = take(parts.consumer(group), values)
    assert [message.value for message in found] == values
    assert [message.offset for message in found] == list(range(found[0].offset, found[0].offset + 3))
    assert {(message.partition, message.key) for message in found} == {(PLACE, b"key")}
    assert found[0].headers == [("name", b"text")]


def test_after_a_rewind_what_was_not_committed_comes_again(parts: Parts, group: str) -> None:
    values = values_for("rewind")
    send(parts, *values)
    consumer = parts.consumer(group)
    found = take(consumer, values)
    consumer.commit({PLACE: found[0].offset + 1})
    consumer.rewind()
    assert [message.value for message in take(consumer, values[1:])] == values[1:]


def test_a_member_that_comes_back_goes_on_where_its_group_committed(parts: Parts, group: str) -> None:
    values = values_for("back")
    send(parts, *values)
    first = parts.consumer(group)
    found = take(first, values)
    first.commit({PLACE: found[1].offset + 1})
    first.close()
    assert [message.value for message in take(parts.consumer(group), values[2:])] == values[2:]


def test_after_a_reset_a_consumer_joins_anew(parts: Parts, group: str) -> None:
    values = values_for("reset")
    send(parts, *values)
    consumer = parts.consumer(group)
    found = take(consumer, values)
    consumer.commit({PLACE: found[2].offset})
    consumer.reset()
    assert [message.value for message in take(consumer, values[2:])] == values[2:]


def test_a_producer_goes_on_after_a_reset(parts: Parts, group: str) -> None:
    values = values_for("producer")
    send(parts, values[0])
    parts.producer.reset()
    send(parts, values[1])
    parts.producer.flush(10)
    assert [message.value for message in take(parts.consumer(group), values[:2])] == values[:2]


def test_oversized_record_raises_refused_not_unavailable(parts: Parts) -> None:
    with pytest.raises(RecordRefused):
        parts.producer.send(TOPIC, None, bytes(16 << 20), []).result(20)
    send(parts, b"a small one behind it")


def test_assignment_and_lag_are_reported(parts: Parts, group: str) -> None:
    values = values_for("lag")
    send(parts, *values)
    consumer = parts.consumer(group)
    take(consumer, values)
    assert list(consumer.assigned()) == [PLACE]
    deadline = time.monotonic() + 10 * time_factor()
    while consumer.lag().get(PLACE) != 0 and time.monotonic() < deadline:
        consumer.poll(0.1)
    assert consumer.lag() == {PLACE: 0}


def test_topics_have_identities(parts: Parts, group: str) -> None:
    consumer = parts.consumer(group)
    identities = consumer.identities([TOPIC, DEAD_LETTERS.name])
    assert identities[TOPIC].cluster_id == identities[DEAD_LETTERS.name].cluster_id != ""
    assert identities[TOPIC].topic_id != identities[DEAD_LETTERS.name].topic_id
    assert consumer.identities([TOPIC])[TOPIC] == identities[TOPIC]


def test_a_topic_that_is_not_there_is_an_error_with_its_name(parts: Parts, group: str) -> None:
    with pytest.raises(DependencyUnavailable, match=r"homeostat\.nowhere"):
        parts.consumer(group).identities(["homeostat.nowhere"])


def test_kafka_is_never_handed_more_than_the_cap(kafka_broker: object) -> None:
    """The client itself has no bound on memory: this cap is all there is."""
    producer = open_producer(kafka_broker.bootstrap, "cap", maximum_pending=5)  # type: ignore[attr-defined]
    producer.send(TOPIC, None, b"connected", []).result(10)
    kafka_broker.stop()  # type: ignore[attr-defined]
    try:
        for _ in range(5):
            producer.send(TOPIC, None, b"waiting", [])
        with pytest.raises(DependencyUnavailable, match="5 records are in flight"):
            producer.send(TOPIC, None, b"one too many", [])
        producer.reset()
    finally:
        kafka_broker.start()  # type: ignore[attr-defined]
    producer.send(TOPIC, None, b"after the reset", []).result(20)
    producer.close()
