"""An alarm: what a stream detector concludes, which columns it blames and when the change began."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

AlarmSignal = Literal["feature", "prediction", "data"]
AlarmState = Literal["drift", "data_fault"]
Method = Literal[
    "location",
    "spread",
    "categories",
    "many_columns",
    "schema",
    "missing",
    "new_category",
    "infinite",
    "out_of_range",
    "swapped",
    "units",
    "frozen",
]


@dataclass(frozen=True)
class Blame:
    """A column that changed: evidence and threshold in nats; `onset`: event time at which its change began, estimated.

    `column` is a measured column, `feature` what an alarm names (the same, except of tensors, texts and times).
    """

    column: str
    feature: str
    method: Method
    evidence: float
    threshold: float
    onset: datetime


@dataclass(frozen=True)
class Alarm:
    """Raised by the tile that ends at `detected_at` (event time). `blamed`: strongest evidence first, at least one.

    `evidence` and `threshold`, in nats, are those of the statistic that alarmed: of all columns together for `many_columns`.
    """

    signal: AlarmSignal
    state: AlarmState
    method: Method
    evidence: float
    threshold: float
    blamed: tuple[Blame, ...]
    onset: datetime
    detected_at: datetime

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the blamed features or predictions, strongest evidence first, each once."""
        return tuple(dict.fromkeys(blame.feature for blame in self.blamed))
