"""Says in the log which rows were answered and not kept: a metric counts them, a line names where to look."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.observability.logs import get_logger

_log = get_logger(__name__)
_EVERY = 10.0


@dataclass
class _Unsaid:
    """Rows dropped since the last line."""

    first: str
    rows: int
    due: float


class DropLog:
    """A full spool refuses every request, so there is at most one line in `every` seconds for each kind and model.

    A line names the first row dropped since the line before, and how many there were; the newest may wait for the next drop.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, every: float = _EVERY) -> None:
        self._clock = clock
        self._every = every
        self._unsaid: dict[tuple[str, str], _Unsaid] = {}

    def add(self, kind: str, model: str, prediction_ids: Sequence[str]) -> None:
        """Rows were dropped."""
        now = self._clock()
        unsaid = self._unsaid.setdefault((kind, model), _Unsaid("", 0, now))
        unsaid.first = unsaid.first or prediction_ids[0]
        unsaid.rows += len(prediction_ids)
        if now >= unsaid.due:
            _log.warning("rows_dropped", kind=kind, model=model, prediction_id=unsaid.first, rows=unsaid.rows)
            self._unsaid[kind, model] = _Unsaid("", 0, now + self._every)
