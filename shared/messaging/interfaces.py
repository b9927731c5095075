"""Interfaces to a broker: implemented by Kafka in production and by an in-memory broker in tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.errors import OperatorError
from shared.messaging.events import Headers


class RecordRefused(OperatorError):
    """The broker answers and refuses this record because it is too large. Sending it again does not help."""


@dataclass(frozen=True, order=True)
class Partition:
    """One partition of a topic."""

    topic: str
    number: int


@dataclass(frozen=True)
class Message:
    """A record of a partition; `timestamp` in milliseconds since 1970."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes
    headers: Headers
    timestamp: int = 0


@dataclass(frozen=True)
class TopicIdentity:
    """Identifies a topic: a recreated topic has the same name and another `topic_id`."""

    cluster_id: str
    topic_id: str


class Delivery(Protocol):
    """One record in flight."""

    def result(self, timeout: float) -> None:
        """Return once the broker has acknowledged the record.

        Raises DependencyUnavailable when it failed or `timeout` seconds passed, RecordRefused when the broker rejects it.
        """


class Producer(Protocol):
    """Sends records. A record is safe only when `Delivery.result` has returned."""

    def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> Delivery:
        """Start sending a record. Raises RecordRefused, or DependencyUnavailable: no broker, or too many records in flight."""

    def flush(self, timeout: float) -> None:
        """Wait until nothing is in flight. Raises DependencyUnavailable after `timeout` seconds."""

    def reset(self) -> None:
        """Drop the connection and what is in flight; the next `send` connects again."""

    def close(self) -> None:
        """Close; unacknowledged records are dropped."""


class Consumer(Protocol):
    """Reads records as a member of a group, with manual commits."""

    def poll(self, timeout: float, maximum: int = 500) -> list[Message]:
        """New records, waiting up to `timeout` seconds for the first; none while no broker answers."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Store, per partition, the offset of the next record to read. Raises DependencyUnavailable."""

    def rewind(self) -> None:
        """Read again from the offsets committed."""

    def assigned(self) -> Sequence[Partition]:
        """Partitions assigned to this member."""

    def lag(self) -> dict[Partition, int]:
        """Records not returned yet, per assigned partition, as last reported by the broker."""

    def identities(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        """The topics' current identities. Raises DependencyUnavailable when no broker answers or a topic is missing."""

    def reset(self) -> None:
        """Drop connection, positions and everything prefetched; the next `poll` joins the group again."""

    def close(self) -> None:
        """Leave the group."""


class TopicReader(Protocol):
    """Reads every partition of one topic from positions that its caller keeps. Without a group: each reader gets every record."""

    def seek(self, positions: Mapping[int, int] | None) -> None:
        """Read from these offsets, by partition number; a partition without one from its beginning. None: only new records."""

    def poll(self, timeout: float, maximum: int = 500) -> list[Message]:
        """New records, waiting up to `timeout` seconds for the first; none while no broker answers."""

    def positions(self) -> dict[int, int]:
        """Per partition, the offset of the next record that `poll` returns; empty before the first connection."""

    def lag(self) -> int:
        """Records not returned yet, as last reported by the broker."""

    def identity(self) -> TopicIdentity:
        """The topic's current identity. Raises DependencyUnavailable."""

    def close(self) -> None:
        """Close the connection."""
