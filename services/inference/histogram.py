"""One histogram series, kept as plain numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

# From 0.25 ms, the duration of a request to a small model, to typical client timeouts.
REQUEST_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# A call of a small model takes about 20 µs.
CALL_BUCKETS = (0.00005, 0.0001, *REQUEST_BUCKETS)
ROW_BUCKETS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0)
SWAP_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
# From a small model to one of gigabytes.
LOAD_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


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

    def observe_all(self, values: Sequence[float]) -> None:
        """Count several values, which are often in one bucket."""
        first, last = bisect_left(self._bounds, min(values)), bisect_left(self._bounds, max(values))
        if first == last:
            self.counts[first] += len(values)
        else:
            for value in values:
                self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += sum(values)

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
