"""What earlier looks at the lake have seen: from when on a window was there to be judged. Pure."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

from services.drift.windows import Span, Watermarks, progress

# Looks at a lake that grows, half a day of them while a version cannot be fetched; beyond it a delay is long in any case.
MOST = 10_000


class Looks:
    """Watermarks and when they were first seen (seconds of a clock that never steps), oldest first."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Watermarks]] = deque(maxlen=MOST)

    def add(self, watermarks: Watermarks, at: float) -> None:
        """The lake was looked at."""
        if not self._seen or self._seen[-1][1] != watermarks:
            self._seen.append((at, watermarks))

    def first_complete(self, span: Span, delay: timedelta) -> float:
        """When the window was first seen complete. Windows are asked for in order: looks that saw less are let go.

        Raises LookupError for a window that no look has seen complete.
        """
        while self._seen and progress(span, self._seen[0][1], delay) != "judgeable":
            self._seen.popleft()
        if not self._seen:
            raise LookupError(f"no look has seen the window that ends at {span.end.isoformat()} complete")
        return self._seen[0][0]
