"""Columns and findings of what a model has logged, beside the reference of its live version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from shared.data_checks.data_set import summarise
from shared.settings import HomeostatSettings
from shared.stores.queries.live_version import live_version, logged_rows

LAST: Final = timedelta(days=7)
MAXIMUM_ROWS: Final = 20_000


def summary_of(
    settings: HomeostatSettings, model: str, last: timedelta = LAST, maximum_rows: int = MAXIMUM_ROWS
) -> dict[str, Any]:
    """The summary of the newest rows, and which rows they are: at most `maximum_rows` of those within `last` of the newest one.

    Raises NotFound without a release or without rows.
    """
    live = live_version(settings, model)
    rows = logged_rows(settings, live.loop, last, maximum_rows)
    times = rows["event_time"]
    found = summarise(rows, live.loop, live.reference)
    return {
        **found.as_json(),
        "first": times[0].as_py().isoformat(),
        "last": times[len(times) - 1].as_py().isoformat(),
        "is_part": rows.num_rows == maximum_rows,
    }
