"""Asks the broker which topics these are: a topic that was deleted and created again has the same name and another id."""

from __future__ import annotations

from collections.abc import Sequence

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from shared.errors import DependencyUnavailable
from shared.messaging.connection import HINT, Connection, connected
from shared.messaging.interfaces import TopicIdentity
from shared.messaging.security.kafka_security import KafkaSecurity


class TopicIdentities:
    """Reads the ids of topics from the brokers at `bootstrap`. Not thread-safe. Connects on first use, and after a failure."""

    def __init__(
        self, bootstrap: str, client_id: str, *, connect_seconds: float, security: KafkaSecurity
    ) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._connect_milliseconds = int(connect_seconds * 1000)
        self._security = security
        self._admin: Connection[KafkaAdminClient] = Connection(
            bootstrap, self._connect, explain=security.explain
        )
        self._cluster_id = ""

    def read(self, topics: Sequence[str]) -> dict[str, TopicIdentity]:
        """The topics' current ids. Raises DependencyUnavailable when no broker answers or a topic is missing."""
        try:
            described = {topic["name"]: topic for topic in self._admin.open().describe_topics(list(topics))}
        except (KafkaError, OSError) as error:
            self.close()
            raise DependencyUnavailable(
                f"no Kafka broker answers at {self._bootstrap}: {error!r}", hint=HINT
            ) from error
        missing = [name for name in topics if name not in described or described[name].get("error_code")]
        if missing:
            raise DependencyUnavailable(
                f"Kafka has no topic {', '.join(missing)}", hint="`homeostat up` creates the topics"
            )
        return {name: TopicIdentity(self._cluster_id, str(described[name]["topic_id"])) for name in topics}

    def close(self) -> None:
        """Drop the connection; the next read connects again."""
        admin = self._admin.release()
        if admin is not None:
            _close(admin)

    def _connect(self) -> KafkaAdminClient:
        admin = connected(
            KafkaAdminClient,
            bootstrap_servers=self._bootstrap.split(","),
            client_id=self._client_id,
            bootstrap_timeout_ms=self._connect_milliseconds,
            request_timeout_ms=5_000,
            **self._security.options,
        )
        try:
            self._cluster_id = str(admin.describe_cluster()["cluster_id"])
        except BaseException:
            _close(admin)
            raise
        return admin


def _close(admin: KafkaAdminClient) -> None:
    try:
        admin.close()
    except (KafkaError, OSError):
        pass  # it is dropped anyway
