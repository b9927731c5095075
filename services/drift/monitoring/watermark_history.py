"""Watermarks of earlier polls: when a window was first seen ready. Pure."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

from services.drift.outcome_readiness import Watermarks, progress
from services.drift.windows import Span

# Half a day of polls of a growing lake while a version cannot be fetched; beyond it the delay is long in any case.
MAX_ENTRIES = 10_000


class WatermarkHistory:
    """Watermarks and when they were first seen (seconds of a monotonic clock), oldest first."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Watermarks]] = deque(maxlen=MAX_ENTRIES)

    def add(self, watermarks: Watermarks, at: float) -> None:
        """Record the watermarks of a poll."""
        if not self._seen or self._seen[-1][1] != watermarks:
            self._seen.append((at, watermarks))

    def first_ready(self, span: Span, delay: timedelta | None) -> float:
        """When the window was first seen ready. Call in order of windows: entries with earlier watermarks are removed.

        Raises LookupError for a window that no poll has seen ready.
        """
        while self._seen and progress(span, self._seen[0][1], delay) != "ready":
            self._seen.popleft()
        if not self._seen:
            raise LookupError(f"no poll has seen the window that ends at {span.end.isoformat()} ready")
        return self._seen[0][0]
