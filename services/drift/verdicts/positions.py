"""How far generations are judged, and what a verdict knows of outcomes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Generation:
    """A generation as the lake shows it: its version, the event time of the first of its rows that was seen, and two positions.

    `inputs_until`: where the next window starts whose inputs are judged. `performance_until`: end of the last window whose
    performance was judged. Both are the first row until a window was judged.
    """

    generation: int
    version: str
    first: datetime
    inputs_until: datetime
    performance_until: datetime


@dataclass(frozen=True)
class OutcomesRead:
    """What a verdict knows of outcomes: the `version` of their table, and the event time until which later ones may change it."""

    version: int
    open_until: datetime
