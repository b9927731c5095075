"""A spool with a memory, and faults that can be switched on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.spool import Kind, SpoolStatistics


@dataclass
class FakeSpool:
    """Remembers what was appended; with `full` set it drops everything, as a spool at its bound does."""

    writer: str = "writer-1"
    epoch: int = 1
    full: bool = False
    predictions: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    dropped: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    closed: bool = False

    def append_together(self, records: Sequence[Mapping[str, Any]]) -> list[bool]:
        return [
            self._append(
                "predictions", self.predictions, {**record, "prediction_ids": list(record["prediction_ids"])}
            )
            for record in records
        ]

    def append_outcomes(self, **record: Any) -> bool:
        return self._append("outcomes", self.outcomes, record)

    def statistics(self) -> SpoolStatistics:
        appended: Counter[tuple[Kind, str]] = Counter()
        for record in self.predictions:
            appended["predictions", record["model"]] += len(record["prediction_ids"])
        for record in self.outcomes:
            appended["outcomes", record["model"]] += len(record["prediction_ids"])
        error = "no room" if self.dropped else ""
        return SpoolStatistics(100 * len(self.predictions), 1000, appended, self.dropped, error)

    def close(self) -> None:
        self.closed = True

    def _append(self, kind: Kind, records: list[dict[str, Any]], record: dict[str, Any]) -> bool:
        if self.full:
            self.dropped[kind, record["model"]] += len(record["prediction_ids"])
            return False
        records.append(record)
        return True
