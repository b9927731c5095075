"""Log warnings about rows that could not be written to the spool; a metric counts them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.observability.logs import get_logger

_log = get_logger(__name__)
_EVERY = 10.0


@dataclass
class _Pending:
    """Rows dropped since the last warning."""

    first: str
    rows: int
    due: float


class DropWarnings:
    """At most one warning in `every` seconds per kind and model, since a full spool drops the rows of every request.

    A warning has the first row dropped since the previous warning and the number of rows.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, every: float = _EVERY) -> None:
        self._clock = clock
        self._every = every
        self._pending: dict[tuple[str, str], _Pending] = {}

    def add(self, kind: str, model: str, prediction_ids: Sequence[str]) -> None:
        """Rows were dropped."""
        now = self._clock()
        pending = self._pending.setdefault((kind, model), _Pending("", 0, now))
        pending.first = pending.first or prediction_ids[0]
        pending.rows += len(prediction_ids)
        if now >= pending.due:
            _log.warning(
                "rows_dropped", kind=kind, model=model, prediction_id=pending.first, rows=pending.rows
            )
            self._pending[kind, model] = _Pending("", 0, now + self._every)
