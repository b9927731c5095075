"""How long a call of a model takes, by its rows: measured at load, and followed while it serves.

At load, calls of one row and of many give a line: seconds per call and per row. While serving, calls are timed now and then, and
each is compared with the line. Their ratio is kept per size of a call (1 row, 2 to 3, 4 to 7, …) as an exponential mean:
a machine can be busy at load, and a model's cost can depend on its data.

The estimate follows the mean only when they differ clearly, sooner up than down: a model whose calls take about as long as the
bound for the event loop would otherwise change between the loop and the threads all the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]

_WEIGHT = 0.1  # of a new measurement in the mean
_UP, _DOWN = 1.1, 0.75  # where the estimate follows the mean
_TIMED_EVERY = 8  # calls; reading the clock of a thread costs about as much as a tenth of a quick call
_ALWAYS_TIMED_SECONDS = 0.001
_SIZES = 32  # by the bits of the number of rows


class CallEstimate:
    """The estimate for one version. Threads may use it at once: of two measurements at the same moment one can be lost."""

    def __init__(self, clock: Clock = time.thread_time) -> None:
        """`clock`: the thread's own time on a CPU, so that what else a busy machine does does not make the model slow."""
        self.clock = clock
        self.changes = 0  # how often the estimate has followed
        self._per_call = 0.0
        self._per_row = 0.0
        self._means = [1.0] * _SIZES
        self._ratios = [1.0] * _SIZES
        self._calls = 0

    def start_with(self, *, per_call: float, per_row: float) -> None:
        """Set what was measured at load, in seconds: of a call of one row, and of each further row."""
        self._per_call, self._per_row = per_call, per_row

    def seconds(self, rows: int) -> float:
        """Expected duration of a call with this many rows."""
        return (self._per_call + self._per_row * (rows - 1)) * self._ratios[rows.bit_length()]

    def seconds_added(self, rows: int) -> float:
        """Expected seconds that these rows add to a call with others."""
        return self._per_row * rows * self._ratios[rows.bit_length()]

    def began(self, rows: int) -> float | None:
        """The clock at the start of a call that is to be timed; None: it is not."""
        self._calls += 1
        if self._calls % _TIMED_EVERY and self.seconds(rows) < _ALWAYS_TIMED_SECONDS:
            return None
        return self.clock()

    def ended(self, rows: int, began: float) -> None:
        """A timed call has ended."""
        line = self._per_call + self._per_row * (rows - 1)
        if line <= 0:
            return
        size = rows.bit_length()
        mean = self._means[size]
        mean += _WEIGHT * ((self.clock() - began) / line - mean)
        self._means[size] = mean
        ratio = self._ratios[size]
        if mean > _UP * ratio or mean < _DOWN * ratio:
            self._ratios[size] = mean
            self.changes += 1
