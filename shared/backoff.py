"""Exponential backoff: pauses between attempts that double with every failure in a row, up to a limit. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_DOUBLINGS = 60  # more would overflow a float in time; any limit is reached long before


@dataclass(frozen=True)
class Backoff:
    """Pauses of `first_s` seconds, doubled after each further failure, at most `max_s`."""

    first_s: float
    max_s: float

    def pause(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row; 1 is the first failure."""
        return min(self.max_s, self.first_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
