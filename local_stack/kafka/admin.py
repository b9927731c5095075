"""Admin requests to the broker: whether it responds, and Homeostat's topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from shared.contracts import topics
from shared.errors import DependencyUnavailable

if TYPE_CHECKING:  # the Kafka client takes long to import
    from shared.messaging.security.kafka_security import KafkaSecurity


def wait_for_broker(
    bootstrap: str,
    *,
    deadline_s: float,
    alive: Callable[[], bool] = lambda: True,
    security: KafkaSecurity | None = None,
) -> None:
    """Wait until a broker responds at `bootstrap`.

    Raises `DependencyUnavailable` after `deadline_s`, or when `alive` turns false.
    """
    from kafka.errors import KafkaError

    ends = time.monotonic() + deadline_s
    while alive():
        try:
            with _admin(bootstrap, 2000, security) as admin:
                if admin.describe_cluster()["brokers"]:
                    return
        except (KafkaError, OSError) as error:
            if time.monotonic() >= ends and security is not None:
                raise security.explain(bootstrap, error) from error
        if time.monotonic() >= ends:
            raise DependencyUnavailable(
                f"no broker responded at {bootstrap} within {deadline_s:.0f} s",
                hint="`homeostat doctor` checks the broker and its port",
            )
        time.sleep(0.1)
    raise DependencyUnavailable(
        f"the broker at {bootstrap} exited during its start",
        hint="read its log, logs/kafka.log below the home",
    )


def create_topics(
    bootstrap: str, wanted: Sequence[topics.Topic], *, security: KafkaSecurity | None = None
) -> None:
    """Create the missing topics and wait until they have leaders; existing topics are not changed.

    Raises `DependencyUnavailable` when the broker does not create them.
    """
    from kafka.admin import NewTopic
    from kafka.errors import KafkaError

    try:
        with _admin(bootstrap, 10_000, security) as admin:
            existing = set(admin.list_topics())
            missing = [
                NewTopic(name=topic.name, num_partitions=topic.partitions, replication_factor=1)
                for topic in wanted
                if topic.name not in existing
            ]
            if missing:
                admin.create_topics(missing)
            admin.wait_for_topics([topic.name for topic in wanted], timeout_ms=20_000)
    except (KafkaError, OSError) as error:
        raise DependencyUnavailable(
            f"the broker at {bootstrap} did not create the topics: {error!r}", hint="read its log"
        ) from error


def missing_topics(bootstrap: str, *, security: KafkaSecurity | None = None) -> list[str]:
    """Homeostat's topics that do not exist. Raises `DependencyUnavailable` if the broker does not respond."""
    from kafka.errors import KafkaError

    try:
        with _admin(bootstrap, 3000, security) as admin:
            existing = set(admin.list_topics())
    except (KafkaError, OSError) as error:
        if security is not None:
            raise security.explain(bootstrap, error) from error
        raise DependencyUnavailable(
            f"no broker responds at {bootstrap}", hint="start it with `homeostat up`"
        ) from error
    return [topic.name for topic in topics.ALL if topic.name not in existing]


def _admin(bootstrap: str, timeout_ms: int, security: KafkaSecurity | None):  # type: ignore[no-untyped-def]
    from kafka.admin import KafkaAdminClient

    return KafkaAdminClient(
        bootstrap_servers=bootstrap,
        bootstrap_timeout_ms=timeout_ms,
        request_timeout_ms=max(timeout_ms, 5000),
        **(security.options if security is not None else {}),
    )
