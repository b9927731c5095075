"""The check of the broker."""

from __future__ import annotations

from cli.checks.broker import broker
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings


def test_unreachable_broker_is_a_failure(settings: LocalStackSettings) -> None:
    unreachable = settings.model_copy(update={"kafka": f"127.0.0.1:{free_port()}"})
    [found] = broker(unreachable)
    assert found.state == "failure"
    assert "kafka.log" in found.hint
