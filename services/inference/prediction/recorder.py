"""Writes predictions and outcomes to the spool. A spool failure never stops serving; dropped rows are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.drop_warnings import DropWarnings
from shared.spool import SpoolStatistics
from shared.spool.record import Classes


class Spool(Protocol):
    """The writing side of `shared.spool.SpoolWriter`; `append_…` returns False if rows were dropped, and counts them."""

    @property
    def writer(self) -> str: ...

    @property
    def epoch(self) -> int: ...

    def append_together(self, records: Sequence[Mapping[str, Any]]) -> list[bool]: ...

    def append_outcomes(self, *args: Any, **kwargs: Any) -> bool: ...

    def statistics(self) -> SpoolStatistics: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Answered:
    """Rows, in one or more batches, and what answered them."""

    servable: Servable
    batches: Sequence[Batch]
    prediction_ids: Sequence[str]
    scores: Sequence[float] | None
    event_time: datetime
    traceparent: str = ""
    classes: Classes | None = None
    vectors: npt.NDArray[np.float32] | None = None
    keys: Sequence[str | None] | None = None


class Recorder:
    """The log of this server process. `refuses`: whether requests whose rows cannot be logged are refused."""

    def __init__(self, spool: Spool, *, refuses: bool = False) -> None:
        self.spool = spool
        self.refuses = refuses
        self._drops = DropWarnings()

    def predictions(self, answered: Sequence[Answered], *, answered_at: datetime) -> list[bool]:
        """Log rows answered at one time, in one write; False for those that were dropped."""
        kept = self.spool.append_together(
            [
                {
                    "model": one.servable.model,
                    "version": one.servable.version,
                    "generation": one.servable.generation,
                    "slot": one.servable.release.slot,
                    "event_time": one.event_time,
                    "answered_at": answered_at,
                    "prediction_ids": one.prediction_ids,
                    "scores": one.scores,
                    "columns": one.batches[0].columns,
                    "following": [batch.columns for batch in one.batches[1:]],
                    "traceparent": one.traceparent,
                    "classes": one.classes,
                    "vectors": one.vectors,
                    "time_bound": one.servable.time_bound,
                    "keys": one.keys,
                }
                for one in answered
            ]
        )
        for one, was_kept in zip(answered, kept, strict=True):
            if not was_kept:
                self._drops.add("predictions", one.servable.model, one.prediction_ids)
        return kept

    def outcomes(
        self,
        model: str,
        *,
        prediction_ids: Sequence[str],
        values: Sequence[float | None],
        observed_at: Sequence[datetime],
        received_at: datetime,
        traceparent: str,
        labels: Sequence[str] | None = None,
        numbers: Sequence[Mapping[str, float]] | None = None,
        sender: str = "",
        time_bound: int | None = None,
    ) -> bool:
        """Log outcomes of one model, as values, labels or numbers by name, who sent them, and the time bound of the live
        version; False where they were dropped."""
        kept = self.spool.append_outcomes(
            model=model,
            received_at=received_at,
            prediction_ids=prediction_ids,
            values=values,
            observed_at=observed_at,
            traceparent=traceparent,
            labels=labels,
            numbers=numbers,
            sender=sender,
            time_bound=time_bound,
        )
        if not kept:
            self._drops.add("outcomes", model, prediction_ids)
        return kept


def as_numbers(output: npt.NDArray[Any]) -> list[float]:
    """Scores as Python floats, the same objects for the response and the log."""
    scores: list[float] = np.asarray(output).tolist()
    return scores
