"""The producer, on kafka-python. Its traps, and what this module does about them:

- no memory bound: records in flight are counted and limited
- constructor and `send` block without a broker: both get short timeouts, and the next call tries to connect again
- records in flight are dropped when its epoch changes: the sender checks the acknowledgement of every record
- after a refused record it refuses the next one too: a failure ends the connection
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from shared.errors import DependencyUnavailable, OperatorError
from shared.messaging.connection import HINT, Connection, connected
from shared.messaging.events import Headers
from shared.messaging.interfaces import RecordRefused
from shared.messaging.security.kafka_security import PLAINTEXT, KafkaSecurity

_SEND_MILLISECONDS = 2_000
_CLOSE_SECONDS = 5.0


class KafkaDelivery:
    """The acknowledgement of one record."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def result(self, timeout: float) -> None:
        """Wait for the acknowledgement. Raises DependencyUnavailable, RecordRefused."""
        try:
            self._future.get(timeout)
        except KafkaError as error:
            raise _translated(error) from error


class LogProducer:
    """An idempotent producer that connects on first use, and again after `reset`. Thread-safe."""

    def __init__(
        self,
        bootstrap: str,
        client_id: str,
        *,
        maximum_pending: int,
        request_bytes: int,
        delivery_seconds: float,
        connect_seconds: float,
        security: KafkaSecurity,
    ) -> None:
        self._bootstrap = bootstrap
        self._security = security
        self._client_id = client_id
        self._maximum_pending = maximum_pending
        self._request_bytes = request_bytes
        self._delivery_milliseconds = int(delivery_seconds * 1000)
        self._connect_milliseconds = int(connect_seconds * 1000)
        self._connection: Connection[KafkaProducer] = Connection(
            bootstrap, self._connect, explain=security.explain
        )
        self._pending = 0
        self._generation = 0
        self._failed = False
        self._lock = Lock()
        self._counting = Lock()

    def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> KafkaDelivery:
        """Start sending a record; blocks about two seconds at most. Raises DependencyUnavailable, RecordRefused.

        After a failed record this opens a new connection and drops what is in flight on the old one.
        """
        if self._failed:
            self.reset()
        with self._lock:
            client = self._connection.open()
            if self._pending >= self._maximum_pending:
                raise DependencyUnavailable(
                    f"{self._pending} records are in flight to Kafka already", hint=HINT
                )
            try:
                future = client.send(topic, value=value, key=key, headers=headers)
            except KafkaError as error:
                raise _translated(error) from error
            with self._counting:
                self._pending += 1
                generation = self._generation
            future.add_callback(lambda _: self._settled(generation))
            future.add_errback(lambda _: self._settled(generation, failed=True))
            return KafkaDelivery(future)

    def flush(self, timeout: float) -> None:
        """Wait until every record is acknowledged or failed. Raises DependencyUnavailable after `timeout` seconds."""
        client = self._connection.client
        if client is None:
            return
        try:
            client.flush(timeout=timeout)
        except KafkaError as error:
            raise DependencyUnavailable(
                f"Kafka did not acknowledge everything within {timeout:g} s", hint=HINT
            ) from error

    def reset(self) -> None:
        """Drop the connection and everything in flight."""
        with self._lock:
            client = self._connection.release()
            with self._counting:
                self._generation += 1
                self._pending = 0
                self._failed = False
        if client is not None:
            _close(client)

    def close(self) -> None:
        """Drop the connection for good."""
        self.reset()

    def _connect(self) -> KafkaProducer:
        return connected(
            KafkaProducer,
            bootstrap_servers=self._bootstrap.split(","),
            client_id=self._client_id,
            acks="all",
            linger_ms=0,
            bootstrap_timeout_ms=self._connect_milliseconds,
            max_block_ms=_SEND_MILLISECONDS,
            request_timeout_ms=min(10_000, self._delivery_milliseconds),
            delivery_timeout_ms=self._delivery_milliseconds,
            reconnect_backoff_max_ms=1_000,
            max_request_size=self._request_bytes,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **self._security.options,
        )

    def _settled(self, generation: int, *, failed: bool = False) -> None:
        with self._counting:
            if generation == self._generation:
                self._pending -= 1
                self._failed = self._failed or failed


def open_producer(
    bootstrap: str,
    client_id: str,
    *,
    maximum_pending: int = 1000,
    request_bytes: int = 8 << 20,
    delivery_seconds: float = 15.0,
    connect_seconds: float = 2.0,
    security: KafkaSecurity = PLAINTEXT,
) -> LogProducer:
    """A producer for the brokers at `bootstrap` (comma separated). Never blocks and never fails: it connects on first use.

    `maximum_pending`: maximum records in flight. `request_bytes`: maximum record size. `delivery_seconds`: delivery timeout of a
    record. `connect_seconds`: connect timeout of a call.
    """
    return LogProducer(
        bootstrap,
        client_id,
        maximum_pending=maximum_pending,
        request_bytes=request_bytes,
        delivery_seconds=delivery_seconds,
        connect_seconds=connect_seconds,
        security=security,
    )


def _translated(error: KafkaError) -> OperatorError:
    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return RecordRefused(
            f"Kafka refuses a record because of its size: {error}",
            hint="raise message.max.bytes of the broker and HOMEOSTAT_SHIPPER_RECORD_BYTES together",
        )
    return DependencyUnavailable(f"Kafka did not accept a record: {error!r}", hint=HINT)


def _close(client: KafkaProducer) -> None:
    """Close the client without sending anything more.

    Its own `close` flushes first, raises when records are pending, and then leaks its sender thread; so that thread drops
    everything first.
    """
    client._sender.force_close()
    client._sender.join(_CLOSE_SECONDS)
    try:
        client.close(timeout=0)
    except KafkaError:
        pass  # records were pending; they are dropped on purpose
