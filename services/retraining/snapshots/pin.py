"""What determines the rows of a snapshot: versions of the lake's tables, the watermark, and intervals that are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from shared.stores.lake import Lake


@dataclass(frozen=True)
class Pin:
    """What determines a snapshot: table versions, the watermark, and the intervals to exclude.

    `faulty`: windows with data faults, and holdout rows from before a release that was rolled back.
    """

    predictions: int
    outcomes: int
    watermark: str
    faulty: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the ledger."""
        return {**asdict(self), "faulty": [list(interval) for interval in self.faulty]}

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> Pin:
        """From the ledger."""
        faulty = tuple((str(start), str(end)) for start, end in stored["faulty"])
        return cls(stored["predictions"], stored["outcomes"], stored["watermark"], faulty)


def pin_lake(
    lake: Lake, model: str, faulty: Sequence[tuple[datetime, datetime]], now: datetime
) -> Pin | None:
    """Record the current table versions; None if there is no prediction or no outcome yet. Raises DependencyUnavailable.

    The watermark is at most `now`: one row from the future must not move all real rows out of the holdout.
    """
    # The watermark is read after the versions: it may be newer than they are, never older.
    versions = lake.snapshot(model)
    watermark = lake.watermark(model)
    if versions.predictions is None or versions.outcomes is None or watermark is None:
        return None
    intervals = tuple((start.isoformat(), end.isoformat()) for start, end in faulty)
    return Pin(versions.predictions, versions.outcomes, min(watermark, now).isoformat(), intervals)
