"""The check of the broker."""

from __future__ import annotations

import pytest

from cli.checks.broker import broker
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from shared.contracts import topics


def test_unreachable_broker_is_a_failure(settings: LocalStackSettings) -> None:
    unreachable = settings.model_copy(update={"kafka": f"127.0.0.1:{free_port()}"})
    [found] = broker(unreachable)
    assert found.state == "failure"
    assert "kafka.log" in found.hint


@pytest.mark.parametrize(
    ("replication", "copies", "state"), [(0, 1, "ok"), (3, 3, "ok"), (3, 1, "warning"), (2, 1, "warning")]
)
def test_too_few_copies_of_a_topic_are_a_warning(
    settings: LocalStackSettings, monkeypatch: pytest.MonkeyPatch, replication: int, copies: int, state: str
) -> None:
    existing = {topic.name: 3 for topic in topics.ALL} | {topics.VERDICTS.name: copies}
    monkeypatch.setattr("cli.checks.broker.topic_copies", lambda *_, **__: existing)
    _, found = broker(settings.model_copy(update={"kafka_replication": replication}))
    assert found.state == state
    assert (f"{topics.VERDICTS.name} has 1" in found.found) == (state == "warning")


def test_missing_topics_are_named(settings: LocalStackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    existing = {topic.name: 1 for topic in topics.ALL if topic != topics.OUTCOMES}
    monkeypatch.setattr("cli.checks.broker.topic_copies", lambda *_, **__: existing)
    _, found = broker(settings)
    assert (found.state, found.found) == ("failure", f"missing: {topics.OUTCOMES.name}")
