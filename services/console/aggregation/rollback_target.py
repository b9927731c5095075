"""Which generations a person may choose to roll back to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.console.aggregation.view_models import Release


def candidates(log: Sequence[Release], most: int = 20) -> list[Release]:
    """What a rollback may restore, newest first: for each version but the one served, the last generation that served it."""
    if not log:
        return []
    newest = {entry.version: entry for entry in log if entry.version and entry.version != log[-1].version}
    return sorted(newest.values(), key=lambda entry: entry.generation, reverse=True)[:most]
