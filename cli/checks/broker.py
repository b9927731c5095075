"""The broker, its topics, and how far its readers are behind."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checks.check_result import Finding
from local_stack.kafka.admin import missing_topics
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.errors import DependencyUnavailable


def broker(settings: LocalStackSettings) -> Iterator[Finding]:
    """The running broker and its topics."""
    state = read_state(settings.home)
    bootstrap = state.kafka if state is not None else settings.kafka
    try:
        missing = missing_topics(bootstrap)
    except DependencyUnavailable as error:
        yield Finding("broker", "failure", error.message, f"less {settings.home / 'logs' / 'kafka.log'}")
        return
    yield Finding("broker", "ok", f"answers at {bootstrap}")
    if missing:
        yield Finding(
            "topics", "failure", f"missing: {', '.join(missing)}", "homeostat down && homeostat up --detach"
        )
    else:
        yield Finding("topics", "ok", "all there")
