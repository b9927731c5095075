"""The reader of a whole topic, on kafka-python: no group, every partition, from positions that its caller keeps."""

from __future__ import annotations

import time
from collections.abc import Mapping

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from shared.errors import DependencyUnavailable
from shared.messaging.connection import Connection, connected
from shared.messaging.consumer import to_messages
from shared.messaging.interfaces import Message, TopicIdentity
from shared.messaging.polling.fetch_wait import BUSY_MILLISECONDS, FetchWait
from shared.messaging.security.kafka_security import PLAINTEXT, KafkaSecurity
from shared.messaging.topic_identities import TopicIdentities
from shared.observability.logs import get_logger

_log = get_logger(__name__)
# How often new partitions of the topic are looked for.
PARTITION_SECONDS = 30.0


class KafkaTopicReader:
    """Reads `topic`. Not thread-safe. Connects on the first poll, and again where the last poll ended after a failure."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        client_id: str,
        *,
        fetch_bytes: int = 8 << 20,
        connect_seconds: float = 2.0,
        security: KafkaSecurity = PLAINTEXT,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._client_id = client_id
        self._fetch_bytes = fetch_bytes
        self._connect_milliseconds = int(connect_seconds * 1000)
        self._security = security
        self._connection: Connection[KafkaConsumer] = Connection(
            bootstrap, self._connect, explain=security.explain
        )
        self._identities = TopicIdentities(
            bootstrap, f"{client_id}-identity", connect_seconds=connect_seconds, security=security
        )
        self._positions: dict[int, int] | None = None
        self._look_again = 0.0
        self._fetch_wait = FetchWait()
        self._reported = ""  # the problem that the log has

    def seek(self, positions: Mapping[int, int] | None) -> None:
        """Read from these offsets, by partition number; a partition without one from its beginning. None: only new records."""
        self._drop()
        self._positions = None if positions is None else dict(positions)

    def poll(self, timeout: float, maximum: int = 500) -> list[Message]:
        """New records, in order per partition; an empty list while no broker answers."""
        try:
            client = self._connection.open()
            if time.monotonic() >= self._look_again:
                self._assign(client)
            polled = to_messages(client.poll(timeout_ms=int(timeout * 1000), max_records=maximum))
            self._fetch_wait.update(client, has_records=bool(polled))
            self._reported = ""
        except DependencyUnavailable as error:
            if self._reported != error.message:
                self._reported = error.message
                _log.warning("reader_not_connected", problem=error.message, hint=error.hint)
            time.sleep(min(timeout, 0.2))
            return []
        except (KafkaError, OSError) as error:
            _log.warning("reader_disconnected", problem=repr(error))
            self._drop()
            return []
        assert self._positions is not None
        for message in polled:
            self._positions[message.partition.number] = message.offset + 1
        return polled

    def positions(self) -> dict[int, int]:
        """Per partition, the offset of the next record that `poll` returns; empty before the first connection."""
        return dict(self._positions or {})

    def lag(self) -> int:
        """Records not returned yet, as last reported by the broker; 0 while no broker answers."""
        client = self._connection.client
        if client is None or self._positions is None:
            return 0
        ends = {number: client.highwater(TopicPartition(self._topic, number)) for number in self._positions}
        return sum(max(0, end - self._positions[number]) for number, end in ends.items() if end is not None)

    def identity(self) -> TopicIdentity:
        """The topic's current identity. Raises DependencyUnavailable."""
        return self._identities.read([self._topic])[self._topic]

    def close(self) -> None:
        """Close the connections."""
        self._drop()
        self._identities.close()

    def _connect(self) -> KafkaConsumer:
        client: KafkaConsumer = connected(
            KafkaConsumer,
            bootstrap_servers=self._bootstrap.split(","),
            client_id=self._client_id,
            group_id=None,
            enable_auto_commit=False,
            # Records before the oldest one left are lost; reading goes on with what there is.
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            bootstrap_timeout_ms=self._connect_milliseconds,
            fetch_max_wait_ms=BUSY_MILLISECONDS,
            max_partition_fetch_bytes=self._fetch_bytes,
            reconnect_backoff_max_ms=1_000,
            metadata_max_age_ms=int(PARTITION_SECONDS * 1000),
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **self._security.options,
        )
        self._look_again = 0.0
        return client

    def _assign(self, client: KafkaConsumer) -> None:
        """Assign every partition there is, each at its position. Raises DependencyUnavailable for a topic that does not exist."""
        numbers = client.partitions_for_topic(self._topic)
        if not numbers:
            raise DependencyUnavailable(
                f"Kafka has no topic {self._topic}", hint="`homeostat up` creates the topics"
            )
        self._look_again = time.monotonic() + PARTITION_SECONDS
        partitions = {number: TopicPartition(self._topic, number) for number in sorted(numbers)}
        if client.assignment() == set(partitions.values()):
            return
        client.assign(list(partitions.values()))
        if self._positions is None:
            ends = client.end_offsets(list(partitions.values()))
            self._positions = {number: int(ends[place]) for number, place in partitions.items()}
        for number, place in partitions.items():
            client.seek(place, self._positions.setdefault(number, 0))

    def _drop(self) -> None:
        client = self._connection.release()
        if client is not None:
            try:
                client.close(autocommit=False, timeout_ms=1_000)
            except (KafkaError, OSError):
                pass  # the broker is unavailable
