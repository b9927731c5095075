"""The broker and its topics."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checks.check_result import CheckResult
from local_stack.kafka.admin import missing_topics
from local_stack.settings import LocalStackSettings
from local_stack.state import read_state
from shared.errors import DependencyUnavailable


def broker(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """The running broker and its topics."""
    state = read_state(settings.home)
    bootstrap = state.kafka if state is not None else settings.kafka
    try:
        missing = missing_topics(bootstrap)
    except DependencyUnavailable as error:
        yield CheckResult("broker", "failure", error.message, f"less {settings.home / 'logs' / 'kafka.log'}")
        return
    yield CheckResult("broker", "ok", f"responds at {bootstrap}")
    if missing:
        yield CheckResult(
            "topics", "failure", f"missing: {', '.join(missing)}", "homeostat down && homeostat up --detach"
        )
    else:
        yield CheckResult("topics", "ok", "all exist")
