"""How long the broker may hold a fetch of a consumer for which it has no records.

Records end the wait, so an idle consumer loses no time by a long one, and asks seldom. But kafka-python has one fetch per broker
in flight: a fetch that was sent while records of a partition were being handed out leaves that partition out, and its next
records wait until the fetch returns. So while there are records, waits are short.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

BUSY_MILLISECONDS = 500
IDLE_MILLISECONDS = 5_000
# Without records for so long, a consumer is idle.
_IDLE_AFTER = 10.0


class FetchWait:
    """Sets the wait of one client after another, by when the last records came. `clock`: monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_records = clock()

    def update(self, client: Any, *, has_records: bool) -> None:
        """Call it after each poll of a KafkaConsumer."""
        now = self._clock()
        if has_records:
            self._last_records = now
        is_idle = now - self._last_records >= _IDLE_AFTER
        # Read by the client for each fetch; it has no public way to change it.
        client._fetcher.config["fetch_max_wait_ms"] = IDLE_MILLISECONDS if is_idle else BUSY_MILLISECONDS
