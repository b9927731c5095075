"""A member of a consumer group that reads nothing: it works on what goes with the partitions assigned to it."""

from __future__ import annotations

from dataclasses import dataclass

from kafka import KafkaConsumer
from kafka.errors import KafkaError

from shared.errors import DependencyUnavailable
from shared.messaging.connection import Connection, connected
from shared.messaging.polling.assignment_watch import AssignmentWatch
from shared.messaging.security.kafka_security import PLAINTEXT, KafkaSecurity
from shared.observability.logs import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True)
class Assignment:
    """The `partitions` of a member, by number, of a topic with `count` partitions."""

    partitions: frozenset[int]
    count: int


class GroupMembership:
    """A member of `group` for the partitions of `topic`. Not thread-safe. Joins on the first poll, and again after a failure.

    A member that does not poll for `session_seconds` or was killed is removed from the group.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        group: str,
        client_id: str,
        *,
        connect_seconds: float = 2.0,
        session_seconds: float = 6.0,
        security: KafkaSecurity = PLAINTEXT,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._group = group
        self._client_id = client_id
        self._connect_milliseconds = int(connect_seconds * 1000)
        self._session_milliseconds = int(session_seconds * 1000)
        self._security = security
        self._connection: Connection[KafkaConsumer] = Connection(
            bootstrap, self._connect, explain=security.explain
        )
        self._watch = AssignmentWatch()
        self._reported = ""  # the problem that the log has

    def poll(self) -> Assignment | None:
        """The partitions assigned now; None while no broker answers, or the topic does not exist."""
        try:
            client = self._connection.open()
            # Joining takes several round trips, also for a member that has partitions: kafka-python 3.0 drops the result of a
            # join that ends between two polls and joins again, so that short polls may never see their new partitions.
            client.poll(timeout_ms=500, max_records=1)
            assigned = client.assignment()
            if assigned:
                client.pause(*assigned)
            if self._watch.must_rejoin(has_partitions=bool(assigned)):
                _log.warning("member_without_partitions", group=self._group, topic=self._topic)
                self.close()
                return None
            partitions = client.partitions_for_topic(self._topic)
            self._reported = ""
        except DependencyUnavailable as error:
            if self._reported != error.message:
                self._reported = error.message
                _log.warning("member_not_connected", problem=error.message, hint=error.hint)
            return None
        except (KafkaError, OSError) as error:
            _log.warning("member_disconnected", problem=repr(error))
            self.close()
            return None
        if not partitions:
            return None
        return Assignment(frozenset(place.partition for place in assigned), len(partitions))

    def close(self) -> None:
        """Leave the group; the next poll joins it again."""
        client = self._connection.release()
        if client is not None:
            try:
                client.close(autocommit=False, timeout_ms=1_000)
            except (KafkaError, OSError):
                pass  # the broker is unavailable; the group removes this member after its timeout

    def _connect(self) -> KafkaConsumer:
        client = connected(
            KafkaConsumer,
            bootstrap_servers=self._bootstrap.split(","),
            client_id=self._client_id,
            group_id=self._group,
            enable_auto_commit=False,
            # Nothing is read; a position is needed all the same.
            auto_offset_reset="latest",
            bootstrap_timeout_ms=self._connect_milliseconds,
            # The few records that come before the partitions are paused are dropped.
            max_partition_fetch_bytes=1 << 16,
            session_timeout_ms=self._session_milliseconds,
            heartbeat_interval_ms=self._session_milliseconds // 3,
            reconnect_backoff_max_ms=1_000,
            metadata_max_age_ms=10_000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **self._security.options,
        )
        client.subscribe([self._topic])
        return client
