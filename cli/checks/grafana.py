"""Grafana, where one is named."""

from __future__ import annotations

from collections.abc import Iterator

from cli.checks.check_result import Finding
from local_stack.settings import LocalStackSettings


def grafana(settings: LocalStackSettings) -> Iterator[Finding]:
    """Whether it works, takes our login, has the data source and the boards."""
    if not settings.grafana_url:
        yield Finding("grafana", "off", "HOMEOSTAT_GRAFANA_URL is not set")
        return
    from cli.grafana.diagnosis import check_grafana

    yield from check_grafana(settings)
