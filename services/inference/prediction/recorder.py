"""Writes answers and outcomes to the spool. Whatever happens there, serving goes on; what is lost is counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.drop_warnings import DropLog


class SpoolStatistics(Protocol):
    """What a spool tells about itself."""

    @property
    def bytes(self) -> int: ...

    @property
    def bound(self) -> int: ...

    @property
    def appended(self) -> Mapping[tuple[Any, str], int]: ...

    @property
    def dropped(self) -> Mapping[tuple[Any, str], int]: ...

    @property
    def last_error(self) -> str: ...


class Spool(Protocol):
    """The writing side of a spool; `append_…` answers False where rows were dropped and counted."""

    @property
    def writer(self) -> str: ...

    @property
    def epoch(self) -> int: ...

    def append_predictions(
        self,
        *,
        model: str,
        version: str,
        generation: int,
        event_time: datetime,
        answered_at: datetime,
        prediction_ids: Sequence[str],
        scores: Sequence[float] | None,
        columns: Mapping[str, Sequence[object] | npt.NDArray[Any]],
        traceparent: str = "",
    ) -> bool: ...

    def append_outcomes(
        self,
        *,
        model: str,
        received_at: datetime,
        prediction_ids: Sequence[str],
        values: Sequence[float],
        observed_at: Sequence[datetime],
        traceparent: str = "",
    ) -> bool: ...

    def statistics(self) -> SpoolStatistics: ...

    def close(self) -> None: ...


class Recorder:
    """The log of this server process."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self._drops = DropLog()

    def prediction(
        self,
        servable: Servable,
        batch: Batch,
        *,
        prediction_ids: Sequence[str],
        scores: Sequence[float] | None,
        event_time: datetime,
        traceparent: str,
    ) -> bool:
        """Log answered rows under what answered them; False where they were dropped."""
        kept = self.spool.append_predictions(
            model=servable.model,
            version=servable.version,
            generation=servable.generation,
            event_time=event_time,
            answered_at=datetime.now(UTC),
            prediction_ids=prediction_ids,
            scores=scores,
            columns=batch.columns,
            traceparent=traceparent,
        )
        if not kept:
            self._drops.add("predictions", servable.model, prediction_ids)
        return kept

    def outcomes(
        self,
        model: str,
        *,
        prediction_ids: Sequence[str],
        values: Sequence[float],
        observed_at: Sequence[datetime],
        received_at: datetime,
        traceparent: str,
    ) -> bool:
        """Log outcomes of one model; False where they were dropped."""
        kept = self.spool.append_outcomes(
            model=model,
            received_at=received_at,
            prediction_ids=prediction_ids,
            values=values,
            observed_at=observed_at,
            traceparent=traceparent,
        )
        if not kept:
            self._drops.add("outcomes", model, prediction_ids)
        return kept


class SpoolCollector(Collector):
    """The spool's figures, read when somebody scrapes."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """Bytes and bound, rows appended and dropped by kind and model."""
        statistics = self._spool.statistics()
        yield GaugeMetricFamily(
            "homeostat_inference_spool_bytes", "Bytes on the spool, not yet shipped.", statistics.bytes
        )
        yield GaugeMetricFamily(
            "homeostat_inference_spool_bound_bytes", "Bytes the spool may hold.", statistics.bound
        )
        for name, text, counts in (
            (
                "homeostat_inference_spooled_rows",
                "Rows written to the spool, by kind and model.",
                statistics.appended,
            ),
            (
                "homeostat_inference_spool_dropped_rows",
                "Rows dropped at the spool's bound or by the disk, by kind and model.",
                statistics.dropped,
            ),
        ):
            family = CounterMetricFamily(name, text, labels=["kind", "model"])
            for (kind, model), count in counts.items():
                family.add_metric([str(kind), model], count)
            yield family


def as_numbers(output: npt.NDArray[Any]) -> list[float]:
    """Scores as Python floats: the same objects go into the reply and into the log."""
    scores: list[float] = np.asarray(output).tolist()
    return scores
