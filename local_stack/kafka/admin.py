"""Admin requests to the broker: whether it responds, and Homeostat's topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from local_stack.kafka.config_files import minimum_in_sync
from shared.contracts import topics
from shared.errors import DependencyUnavailable

# As the protocol writes it: CreateTopics, since version 4.
_BROKERS_DEFAULT = -1

if TYPE_CHECKING:  # the Kafka client takes long to import
    from shared.messaging.security.kafka_security import KafkaSecurity


def wait_for_broker(
    bootstrap: str,
    *,
    deadline_s: float,
    count: int = 1,
    alive: Callable[[], bool] = lambda: True,
    security: KafkaSecurity | None = None,
) -> None:
    """Wait until a broker responds at `bootstrap`, and says that `count` brokers are in its cluster.

    Raises `DependencyUnavailable` after `deadline_s`, or when `alive` turns false.
    """
    from kafka.errors import KafkaError

    ends = time.monotonic() + deadline_s
    found = 0
    while alive():
        try:
            with _admin(bootstrap, 2000, security) as admin:
                found = len(admin.describe_cluster()["brokers"])
                if found >= count:
                    return
        except (KafkaError, OSError) as error:
            if time.monotonic() >= ends and security is not None:
                raise security.explain(bootstrap, error) from error
        if time.monotonic() >= ends and found:
            raise DependencyUnavailable(
                f"{found} of {count} brokers are in the cluster at {bootstrap} after {deadline_s:.0f} s",
                hint="start the missing brokers, or lower HOMEOSTAT_KAFKA_REPLICATION to the number of brokers",
            )
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
    bootstrap: str,
    wanted: Sequence[topics.Topic],
    *,
    replication: int = 0,
    security: KafkaSecurity | None = None,
) -> None:
    """Create the missing topics and wait until they have leaders; existing topics are not changed.

    `replication`: copies of each; 0 for the brokers' default.

    Raises `DependencyUnavailable` when the broker does not create them.
    """
    from kafka.admin import NewTopic
    from kafka.errors import KafkaError

    minimum = minimum_in_sync(replication)
    configs = {"min.insync.replicas": str(minimum)} if minimum else {}
    try:
        with _admin(bootstrap, 10_000, security) as admin:
            existing = set(admin.list_topics())
            missing = [
                NewTopic(
                    name=topic.name,
                    num_partitions=topic.partitions,
                    replication_factor=replication or _BROKERS_DEFAULT,
                    topic_configs=configs,
                )
                for topic in wanted
                if topic.name not in existing
            ]
            if missing:
                admin.create_topics(missing)
            admin.wait_for_topics([topic.name for topic in wanted], timeout_ms=20_000)
    except (KafkaError, OSError) as error:
        raise DependencyUnavailable(
            f"the broker at {bootstrap} did not create the topics: {error!r}",
            hint="read its log; HOMEOSTAT_KAFKA_REPLICATION may be at most the number of brokers",
        ) from error


def topic_copies(bootstrap: str, *, security: KafkaSecurity | None = None) -> dict[str, int]:
    """Homeostat's topics that exist, each with the number of copies of the partition that has the fewest.

    Raises `DependencyUnavailable` if the broker does not respond.
    """
    from kafka.errors import KafkaError

    try:
        with _admin(bootstrap, 3000, security) as admin:
            described = {topic["name"]: topic for topic in admin.describe_topics()}
    except (KafkaError, OSError) as error:
        if security is not None:
            raise security.explain(bootstrap, error) from error
        raise DependencyUnavailable(
            f"no broker responds at {bootstrap}", hint="start it with `homeostat up`"
        ) from error
    return {
        topic.name: min(
            (len(partition["replica_nodes"]) for partition in described[topic.name]["partitions"]), default=0
        )
        for topic in topics.ALL
        if topic.name in described
    }


def _admin(bootstrap: str, timeout_ms: int, security: KafkaSecurity | None):  # type: ignore[no-untyped-def]
    from kafka.admin import KafkaAdminClient

    return KafkaAdminClient(
        bootstrap_servers=bootstrap,
        bootstrap_timeout_ms=timeout_ms,
        request_timeout_ms=max(timeout_ms, 5000),
        **(security.options if security is not None else {}),
    )
