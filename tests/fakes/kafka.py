"""A broker with memory: topics, partitions, groups and their offsets, kept in lists one can look at.

broker = FakeBroker()
producer, consumer = broker.producer(), broker.consumer(["homeostat.verdicts"], "retraining")
broker.messages("homeostat.verdicts")      # what was sent
broker.committed["retraining"]             # what was committed
broker.down = True                         # nobody answers
broker.fail_next(2)                        # the next two records are not acknowledged and not kept
broker.lose_next_acknowledgements(1)       # kept, but the sender receives an error
broker.recreate("homeostat.predictions")   # deleted and made again: another topic id, empty
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from shared.contracts.topics import ALL
from shared.errors import DependencyUnavailable
from shared.messaging.events import Headers
from shared.messaging.interfaces import Message, Partition, RecordRefused, TopicIdentity


class FakeDelivery:
    """Settled at once."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def result(self, timeout: float) -> None:
        if self._error is not None:
            raise self._error


@dataclass
class FakeBroker:
    """The broker. `maximum_bytes` is the largest value it takes, `refuse_above` the same for one topic."""

    partitions: dict[str, int] = field(
        default_factory=lambda: {topic.name: topic.partitions for topic in ALL}
    )
    maximum_bytes: int = 1 << 20
    refuse_above: dict[str, int] = field(default_factory=dict)
    down: bool = False
    committed: dict[str, dict[Partition, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._log: dict[Partition, list[Message]] = {}
        self._topic_ids = {name: f"{name}-1" for name in self.partitions}
        self._failures = 0
        self._lost_acknowledgements = 0

    def producer(self) -> FakeProducer:
        return FakeProducer(self)

    def consumer(self, topics: Sequence[str], group: str) -> FakeConsumer:
        return FakeConsumer(self, topics, group)

    def messages(self, topic: str) -> list[Message]:
        """Everything in a topic, partition by partition."""
        return [message for place in self.places(topic) for message in self._log.get(place, [])]

    def places(self, topic: str) -> list[Partition]:
        return [Partition(topic, number) for number in range(self.partitions.get(topic, 1))]

    def log(self, place: Partition) -> list[Message]:
        return self._log.setdefault(place, [])

    def put(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> Message:
        """Append a record, as a producer of any kind might."""
        number = crc32(key or b"") % self.partitions.get(topic, 1)
        records = self.log(Partition(topic, number))
        message = Message(Partition(topic, number), len(records), key, value, list(headers))
        records.append(message)
        return message

    def fail_next(self, count: int) -> None:
        self._failures += count

    def lose_next_acknowledgements(self, count: int) -> None:
        self._lost_acknowledgements += count

    def recreate(self, topic: str) -> None:
        generation = int(self._topic_ids[topic].rsplit("-", 1)[1]) + 1
        self._topic_ids[topic] = f"{topic}-{generation}"
        for place in self.places(topic):
            self._log.pop(place, None)
            for offsets in self.committed.values():
                offsets.pop(place, None)

    def identity(self, topic: str) -> TopicIdentity:
        return TopicIdentity("fake-cluster", self._topic_ids[topic])

    def accept(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> FakeDelivery:
        if self.down:
            raise DependencyUnavailable("the fake broker is down")
        limit = self.refuse_above.get(topic, self.maximum_bytes)
        if len(value) > limit:
            return FakeDelivery(RecordRefused(f"{len(value)} bytes, at most {limit}"))
        if self._failures:
            self._failures -= 1
            return FakeDelivery(DependencyUnavailable("the fake broker did not acknowledge"))
        self.put(topic, key, value, headers)
        if self._lost_acknowledgements:
            self._lost_acknowledgements -= 1
            return FakeDelivery(DependencyUnavailable("the acknowledgement was lost"))
        return FakeDelivery()


class FakeProducer:
    """Sends to the fake broker; `resets` counts how often the connection was dropped."""

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker
        self.resets = 0
        self.closed = False

    def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> FakeDelivery:
        return self._broker.accept(topic, key, value, headers)

    def flush(self, timeout: float) -> None:
        if self._broker.down:
            raise DependencyUnavailable("the fake broker is down")

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed = True


class FakeConsumer:
    """The only member of its group; gets every partition."""

    def __init__(self, broker: FakeBroker, topics: Sequence[str], group: str) -> None:
        self._broker = broker
        self._topics = list(topics)
        self._offsets = broker.committed.setdefault(group, {})
        self._positions: dict[Partition, int] = {}
        self.resets = 0
        self.closed = False

    def poll(self, timeout: float, maximum: int = 500) -> list[Message]:
        found: list[Message] = []
        if self._broker.down:
            return found
        for place in self.assigned():
            start = self._positions.get(place, self._offsets.get(place, 0))
            taken = self._broker.log(place)[start : start + maximum - len(found)]
            self._positions[place] = start + len(taken)
            found.extend(taken)
        return found

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        if self._broker.down:
            raise DependencyUnavailable("the fake broker is down")
        self._offsets.update(offsets)

    def rewind(self) -> None:
        self._positions.clear()

    def assigned(self) -> list[Partition]:
        return [place for topic in self._topics for place in self._broker.places(topic)]

    def lag(self) -> dict[Partition, int]:
        return {
            place: len(self._broker.log(place)) - self._positions.get(place, self._offsets.get(place, 0))
            for place in self.assigned()
        }

    def identities(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        if self._broker.down:
            raise DependencyUnavailable("the fake broker is down")
        missing = [topic for topic in topics if topic not in self._broker.partitions]
        if missing:
            raise DependencyUnavailable(f"the fake broker has no topic {', '.join(missing)}")
        return {topic: self._broker.identity(topic) for topic in topics}

    def reset(self) -> None:
        self.resets += 1
        self._positions.clear()

    def close(self) -> None:
        self.closed = True


class FakeTopicReader:
    """Reads all partitions of a topic of the fake broker from positions of its own; `seeks` are the positions asked for."""

    def __init__(self, broker: FakeBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic
        self._positions: dict[int, int] | None = None
        self.seeks: list[dict[int, int] | None] = []
        self.closed = False

    def seek(self, positions: Mapping[int, int] | None) -> None:
        self.seeks.append(None if positions is None else dict(positions))
        self._positions = None if positions is None else dict(positions)

    def poll(self, timeout: float, maximum: int = 500) -> list[Message]:
        found: list[Message] = []
        if self._broker.down:
            return found
        places = self._broker.places(self._topic)
        if self._positions is None:
            self._positions = {place.number: len(self._broker.log(place)) for place in places}
        for place in places:
            start = self._positions.setdefault(place.number, 0)
            taken = self._broker.log(place)[start : start + maximum - len(found)]
            self._positions[place.number] = start + len(taken)
            found.extend(taken)
        return found

    def positions(self) -> dict[int, int]:
        return dict(self._positions or {})

    def lag(self) -> int:
        return sum(
            len(self._broker.log(place)) - (self._positions or {}).get(place.number, 0)
            for place in self._broker.places(self._topic)
        )

    def identity(self) -> TopicIdentity:
        if self._broker.down:
            raise DependencyUnavailable("the fake broker is down")
        return self._broker.identity(self._topic)

    def close(self) -> None:
        self.closed = True
