"""A short-lived broker for the archive of classes: what makes it load the classes that a loop needs, and end with its parent."""

from __future__ import annotations

import ctypes
import signal
import sys

from shared.contracts import topics
from shared.errors import DependencyUnavailable

_PR_SET_PDEATHSIG = 1


def use_broker(bootstrap: str, *, timeout_s: float) -> None:
    """Write a record and read it in a consumer group, as the services do. Raises `DependencyUnavailable` after `timeout_s`."""
    from kafka.errors import KafkaError

    try:
        _write_and_read(bootstrap, topics.VERDICTS.name, timeout_s)
    except KafkaError as error:
        raise DependencyUnavailable(
            f"the broker at {bootstrap} did not keep a record: {error!r}",
            hint="nothing to do: the next start tries again",
        ) from error


def _write_and_read(bootstrap: str, name: str, timeout_s: float) -> None:
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.errors import KafkaTimeoutError

    deadline_ms = int(1000 * timeout_s)
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", max_block_ms=deadline_ms)
    try:
        producer.send(name, value=b"{}").get(timeout=timeout_s)
    finally:
        producer.close(timeout=1)
    consumer = KafkaConsumer(
        name,
        bootstrap_servers=bootstrap,
        group_id="recording",
        auto_offset_reset="earliest",
        consumer_timeout_ms=deadline_ms,
    )
    try:
        if next(consumer, None) is None:
            raise KafkaTimeoutError(f"no record came from {bootstrap}")
        consumer.commit()
    finally:
        consumer.close(timeout_ms=1000)


def end_with_parent() -> None:
    """In the child, before its program starts: it is stopped when its parent ends, however that ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
