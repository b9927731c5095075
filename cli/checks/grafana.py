"""Grafana, if its URL is set."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checks.check_result import CheckResult
from local_stack.settings import LocalStackSettings


def grafana(settings: LocalStackSettings) -> Iterator[CheckResult]:
    """Whether it responds, accepts the credentials, and has the data source and the boards."""
    if not settings.grafana_url:
        yield CheckResult("grafana", "off", "HOMEOSTAT_GRAFANA_URL is not set")
        return
    from cli.grafana.diagnosis import check_grafana

    yield from check_grafana(settings)
