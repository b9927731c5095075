"""One histogram series, kept as plain numbers."""

from __future__ import annotations

from bisect import bisect_left


class Histogram:
    """Observations per bucket, and their sum. Not thread-safe."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """`bounds`: inclusive upper bounds of the buckets, ascending."""
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def count(self) -> int:
        """Number of observations."""
        return sum(self.counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts per upper bound, in the Prometheus form."""
        total, result = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self.counts, strict=True):
            total += count
            result.append((bound, float(total)))
        return result
