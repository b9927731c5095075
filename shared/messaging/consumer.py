"""The consumer, on kafka-python: member of a group, manual commits, starts at `earliest` and without a broker."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from shared.errors import DependencyUnavailable
from shared.messaging.connection import HINT, Connection, connected
from shared.messaging.interfaces import Message, Partition, TopicIdentity
from shared.messaging.polling.assignment_watch import AssignmentWatch
from shared.messaging.polling.fetch_wait import BUSY_MILLISECONDS, FetchWait
from shared.messaging.security.kafka_security import PLAINTEXT, KafkaSecurity
from shared.messaging.topic_identities import TopicIdentities
from shared.observability.logs import get_logger

_log = get_logger(__name__)


class LogConsumer:
    """Reads `topics` as a member of `group`. Not thread-safe. Connects on the first poll, and again after `reset`."""

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[str],
        group: str,
        client_id: str,
        *,
        fetch_bytes: int,
        connect_seconds: float,
        security: KafkaSecurity,
    ) -> None:
        self._bootstrap = bootstrap
        self._security = security
        self._topics = list(topics)
        self._group = group
        self._client_id = client_id
        self._fetch_bytes = fetch_bytes
        self._connect_milliseconds = int(connect_seconds * 1000)
        self._connection: Connection[KafkaConsumer] = Connection(
            bootstrap, self._connect, explain=security.explain
        )
        self._identities = TopicIdentities(
            bootstrap, f"{client_id}-identity", connect_seconds=connect_seconds, security=security
        )
        self._watch = AssignmentWatch()
        self._fetch_wait = FetchWait()
        self._reported = ""  # the problem that the log has

    def poll(self, timeout: float, maximum: int = 500) -> list[Message]:
        """New records in order per partition; an empty list while no broker answers."""
        try:
            client = self._connection.open()
            polled = client.poll(timeout_ms=int(timeout * 1000), max_records=maximum)
            self._fetch_wait.update(client, has_records=bool(polled))
            if self._watch.must_rejoin(has_partitions=bool(client.assignment())):
                _log.warning("consumer_without_partitions", group=self._group, topics=self._topics)
                self.reset()
            self._reported = ""
        except DependencyUnavailable as error:
            if self._reported != error.message:
                self._reported = error.message
                _log.warning("consumer_not_connected", problem=error.message, hint=error.hint)
            time.sleep(min(timeout, 0.2))
            return []
        except (KafkaError, OSError):
            self.reset()
            return []
        return to_messages(polled)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Store the offsets of the group. Raises DependencyUnavailable; the caller may continue if it skips repeats."""
        client = self._connection.client
        if client is None:
            raise DependencyUnavailable("not connected to Kafka", hint=HINT)
        try:
            client.commit(
                {
                    _to_kafka(partition): OffsetAndMetadata(offset, "", -1)
                    for partition, offset in offsets.items()
                },
                timeout_ms=5_000,
            )
        except (KafkaError, OSError) as error:
            raise DependencyUnavailable(f"Kafka did not store the offsets: {error!r}", hint=HINT) from error

    def rewind(self) -> None:
        """Read again from the committed offsets; from the beginning where none is committed."""
        client = self._connection.client
        if client is None:
            return
        try:
            for partition in client.assignment():
                committed = client.committed(partition, timeout_ms=5_000)
                if committed is None:
                    client.seek_to_beginning(partition)
                else:
                    client.seek(partition, committed)
        except (KafkaError, OSError):
            self.reset()

    def assigned(self) -> Sequence[Partition]:
        """Partitions of this member."""
        client = self._connection.client
        return [_from_kafka(partition) for partition in client.assignment()] if client is not None else []

    def lag(self) -> dict[Partition, int]:
        """Records of each partition that were not returned yet."""
        found: dict[Partition, int] = {}
        client = self._connection.client
        if client is None:
            return found
        for partition in client.assignment():
            end = client.highwater(partition)
            try:
                position = client.position(partition, timeout_ms=100)
            except (KafkaError, OSError):
                continue
            if end is not None and position is not None:
                found[_from_kafka(partition)] = max(0, end - position)
        return found

    def identities(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        """The topics' current ids. Raises DependencyUnavailable."""
        return self._identities.read(topics)

    def reset(self) -> None:
        """Drop the connection and everything prefetched."""
        client = self._connection.release()
        if client is not None:
            try:
                client.close(autocommit=False, timeout_ms=1_000)
            except (KafkaError, OSError):
                pass  # the broker is unavailable; the group removes this member after its timeout

    def close(self) -> None:
        """Leave the group and close the connection."""
        self.reset()
        self._identities.close()

    def _connect(self) -> KafkaConsumer:
        client = connected(
            KafkaConsumer,
            bootstrap_servers=self._bootstrap.split(","),
            client_id=self._client_id,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            bootstrap_timeout_ms=self._connect_milliseconds,
            fetch_max_wait_ms=BUSY_MILLISECONDS,
            max_partition_fetch_bytes=self._fetch_bytes,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=2_000,
            reconnect_backoff_max_ms=1_000,
            metadata_max_age_ms=10_000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **self._security.options,
        )
        client.subscribe(self._topics)
        return client


def open_consumer(
    bootstrap: str,
    topics: Sequence[str],
    group: str,
    client_id: str,
    *,
    fetch_bytes: int = 8 << 20,
    connect_seconds: float = 2.0,
    security: KafkaSecurity = PLAINTEXT,
) -> LogConsumer:
    """A consumer of `topics` for the brokers at `bootstrap`. Never blocks and never fails: it connects on the first poll.

    A new group starts with the earliest record. `fetch_bytes`: maximum fetched of one partition at a time.
    `connect_seconds`: connect timeout of a call.
    """
    return LogConsumer(
        bootstrap,
        topics,
        group,
        client_id,
        fetch_bytes=fetch_bytes,
        connect_seconds=connect_seconds,
        security=security,
    )


def to_messages(polled: Mapping[Any, Sequence[Any]]) -> list[Message]:
    """What the client polled, as our own records: in order per partition."""
    return [
        Message(
            Partition(record.topic, record.partition),
            record.offset,
            record.key,
            record.value if record.value is not None else b"",
            list(record.headers or ()),
            record.timestamp,
        )
        for records in polled.values()
        for record in records
    ]


def _to_kafka(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number)


def _from_kafka(partition: TopicPartition) -> Partition:
    return Partition(partition.topic, partition.partition)
