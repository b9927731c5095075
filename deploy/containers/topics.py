"""`python -m deploy.containers.topics`: waits for the broker and creates Homeostat's topics, before the services start."""

from __future__ import annotations

import sys

from local_stack.kafka.admin import create_topics, wait_for_broker
from local_stack.settings import LocalStackSettings
from shared.contracts import topics
from shared.errors import HomeostatError
from shared.messaging.security.kafka_security import kafka_security
from shared.messaging.security.settings import KafkaSettings

TIMEOUT_S = 120.0


def main() -> int:
    """Create the missing topics; existing ones are not changed."""
    settings = LocalStackSettings()
    kafka = settings.kafka
    try:
        security = kafka_security(KafkaSettings())
        # A port that is open says only that its broker runs, not that the cluster has it.
        brokers = max(1, settings.kafka_replication)
        wait_for_broker(kafka, deadline_s=TIMEOUT_S, count=brokers, security=security)
        create_topics(kafka, topics.ALL, replication=settings.kafka_replication, security=security)
    except HomeostatError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"topics at {kafka}: {', '.join(topic.name for topic in topics.ALL)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
