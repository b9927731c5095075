"""From checked rows to an answer that is on the spool: the core behind every door."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy.typing as npt

from services.inference.recorder import Recorder, as_numbers
from services.inference.servable import Servable
from services.inference.validation import Batch
from shared.contracts.prediction_id import PredictionIds


@dataclass(slots=True)
class Prediction:
    """What was answered: ids, the model's output, and its scores as numbers (None for a model that answers tensors)."""

    prediction_ids: list[str]
    output: npt.NDArray[Any]
    scores: list[float] | None


class Predictor:
    """Runs servables and records what they answered."""

    def __init__(
        self, recorder: Recorder, ids: PredictionIds, *, inline_seconds: float, threads: int
    ) -> None:
        self._recorder = recorder
        self._ids = ids
        self._inline_seconds = inline_seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="model-call")

    async def predict(
        self, servable: Servable, batch: Batch, *, event_time: datetime, traceparent: str
    ) -> Prediction:
        """Answer `batch` with the servable the caller holds. Raises UnservableModel.

        1. run the model: at once if that is quick, else on a thread, so that other requests and the health doors go on
        2. give each row its id    3. put everything on the spool    4. only then return, so that it can be sent
        """
        if servable.seconds(batch.rows) <= self._inline_seconds:
            output = servable.run(batch)
        else:
            output = await asyncio.get_running_loop().run_in_executor(self._threads, servable.run, batch)
        prediction_ids = self._ids.make_many(servable.model, batch.rows)
        scores = as_numbers(output) if servable.scores else None
        self._recorder.prediction(
            servable,
            batch,
            prediction_ids=prediction_ids,
            scores=scores,
            event_time=event_time,
            traceparent=traceparent,
        )
        return Prediction(prediction_ids, output, scores)

    def close(self) -> None:
        """Wait for calls under way and end the threads."""
        self._threads.shutdown(wait=True)
