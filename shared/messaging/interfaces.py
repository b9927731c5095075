"""What services need of a broker. Kafka stands behind it in production, a broker with memory in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.errors import OperatorError
from shared.messaging.events import Headers


class RecordRefused(OperatorError):
    """The broker is there and will never take this record: it is too large. Sending it again does not help."""


@dataclass(frozen=True, order=True)
class Partition:
    """One partition of a topic."""

    topic: str
    number: int


@dataclass(frozen=True)
class Message:
    """A record as it lies in a partition; `timestamp` in milliseconds since 1970."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes
    headers: Headers
    timestamp: int = 0


@dataclass(frozen=True)
class TopicIdentity:
    """Tells a topic from another of the same name: a recreated topic has another `topic_id`."""

    cluster_id: str
    topic_id: str


class Delivery(Protocol):
    """One record on its way."""

    def result(self, timeout: float) -> None:
        """Return once the broker has acknowledged the record.

        Raises DependencyUnavailable when it failed or `timeout` seconds passed, RecordRefused when it never will be taken.
        """


class Producer(Protocol):
    """Sends records. Nothing is promised before `Delivery.result` returns."""

    def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> Delivery:
        """Hand a record over. Raises RecordRefused, or DependencyUnavailable: no broker, or too many records in flight."""

    def flush(self, timeout: float) -> None:
        """Wait until nothing is under way. Raises DependencyUnavailable after `timeout` seconds."""

    def reset(self) -> None:
        """Forget the connection and what is under way; the next `send` connects anew."""

    def close(self) -> None:
        """Let go; what is not acknowledged is not sent."""


class Consumer(Protocol):
    """Reads records as a member of a group; offsets are committed by hand."""

    def poll(self, timeout: float, maximum: int = 500) -> list[Message]:
        """New records, waiting up to `timeout` seconds for the first; none while no broker answers."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Keep, per partition, the offset of the next record to read. Raises DependencyUnavailable."""

    def rewind(self) -> None:
        """Read again from the offsets committed."""

    def assigned(self) -> Sequence[Partition]:
        """Partitions this member reads at present."""

    def lag(self) -> dict[Partition, int]:
        """Records not yet handed out, per assigned partition, as last heard from the broker."""

    def identities(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        """The topics as they are now. Raises DependencyUnavailable when no broker answers or a topic is missing."""

    def reset(self) -> None:
        """Forget connection, positions and everything fetched ahead; the next `poll` joins the group anew."""

    def close(self) -> None:
        """Leave the group."""
