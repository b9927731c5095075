"""The broker and its topics."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checks.check_result import CheckResult
from local_stack.kafka.admin import topic_copies
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.contracts import topics
from shared.errors import OperatorError


def broker(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """The running broker and its topics."""
    from shared.messaging.security.kafka_security import (
        kafka_security,
    )  # the Kafka client takes long to import
    from shared.messaging.security.settings import KafkaSettings

    state, kafka = read_state(settings.home), KafkaSettings()
    bootstrap = state.kafka if state is not None else settings.kafka
    # The stack's own broker has neither encryption nor logins.
    is_plain = state is not None or kafka.security_protocol == "PLAINTEXT"
    try:
        copies = topic_copies(bootstrap, security=None if is_plain else kafka_security(kafka))
    except OperatorError as error:
        hint = f"less {settings.home / 'logs' / 'kafka.log'}" if is_plain else error.hint
        yield CheckResult("broker", "failure", error.message, hint)
        return
    yield CheckResult("broker", "ok", f"responds at {bootstrap}")
    missing = [topic.name for topic in topics.ALL if topic.name not in copies]
    # The stack's own broker is one, and keeps one copy.
    wanted = settings.kafka_replication if state is None else 0
    thin = [f"{name} has {found}" for name, found in copies.items() if found < wanted]
    if missing:
        yield CheckResult(
            "topics", "failure", f"missing: {', '.join(missing)}", "homeostat down && homeostat up --detach"
        )
    elif thin:
        yield CheckResult(
            "topics",
            "warning",
            f"HOMEOSTAT_KAFKA_REPLICATION is {wanted}, copies: {', '.join(thin)}",
            "add copies with Kafka's kafka-reassign-partitions.sh, and set min.insync.replicas of the topics",
        )
    else:
        yield CheckResult("topics", "ok", "all exist")
