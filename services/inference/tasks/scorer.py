"""Scores the rows of a file in small calls, so that requests in between are answered as usual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

import pyarrow as pa

from services.inference.metrics import InferenceMetrics
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.models.slot import ModelUnloaded
from services.inference.on_demand.model_pool import ModelPool
from services.inference.prediction.call import Prediction
from services.inference.prediction.full_spool import SpoolFull
from services.inference.prediction.predictor import Predictor
from services.inference.tasks.parquet_rows import ParquetRows, event_times, to_batch
from services.inference.tasks.record import FileOptions
from services.inference.tasks.result_file import ResultFile
from services.inference.tasks.thread_calls import on_thread
from shared.contracts.event_time import parse_event_time
from shared.errors import OperatorError

_MAX_ROWS = 500
# A call on a thread: two of them are shared with requests.
_SECONDS_ON_THREAD = 0.05
_BUSY_WAIT_SECONDS = 0.2


class FileScorer:
    """Answers files with the models of this process."""

    def __init__(
        self,
        models: ModelPool,
        predictor: Predictor,
        metrics: InferenceMetrics,
        *,
        inline_seconds: float,
    ) -> None:
        self._models = models
        self._predictor = predictor
        self._metrics = metrics
        self._inline_seconds = inline_seconds

    def check_options(self, options: FileOptions) -> FileOptions:
        """The options with the model's name, checked before the file is read. Raises InvalidRequest, NotFound, OperatorError."""
        model = self._models.slots.resolve(options.model)
        if options.event_time is not None:
            parse_event_time(options.event_time, datetime.now(UTC), field="event_time")
        # Another model that is released meanwhile does not make the file ambiguous.
        return replace(options, model=model)

    async def check(self, rows: ParquetRows, options: FileOptions) -> None:
        """Check every row, so that a file with an invalid one is refused before any is answered. Raises InvalidRequest."""
        servable = await self._acquire(options.model)
        try:
            first_row = 0
            with closing(rows.tables(_columns(servable, options))) as tables:
                while (table := await on_thread(next, tables, None)) is not None:
                    await on_thread(_groups, servable, table, options, first_row)
                    first_row += table.num_rows
        finally:
            self._models.release(servable)

    async def score(
        self, rows: ParquetRows, options: FileOptions, result: ResultFile
    ) -> AsyncGenerator[None, None]:
        """Answer the rows in order and add the answers to `result`; yields after each call. Raises HomeostatError.

        Each call has the live version of its moment: a swap is not held up by a long file. Close it before `rows`.
        """
        servable = await self._acquire(options.model)
        columns = _columns(servable, options)
        self._models.release(servable)
        first_row = 0
        with closing(rows.tables(columns)) as tables:
            while (table := await on_thread(next, tables, None)) is not None:
                start = 0
                while start < table.num_rows:
                    start += await self._call(table.slice(start), options, result, first_row + start)
                    await on_thread(result.flush)
                    yield
                first_row += table.num_rows

    async def _call(self, table: pa.Table, options: FileOptions, result: ResultFile, first_row: int) -> int:
        """Answer as many of the first rows as one call takes; their number."""
        servable = await self._acquire(options.model)
        try:
            part = table.slice(0, self._rows_per_call(servable))
            groups = await on_thread(_groups, servable, part, options, first_row)
            await self._answer(servable, groups, result, first_row)
            return int(part.num_rows)
        finally:
            self._models.release(servable)

    async def _acquire(self, model: str | None) -> Servable:
        while True:
            try:
                return await self._models.acquire(model)
            except ModelUnloaded:  # many models are being loaded: requests go first
                await asyncio.sleep(_BUSY_WAIT_SECONDS)

    def _rows_per_call(self, servable: Servable) -> int:
        is_quick = self._predictor.is_inline(servable, 1)
        longest = self._inline_seconds if is_quick else _SECONDS_ON_THREAD
        rows = _MAX_ROWS
        while rows > 1 and servable.seconds(rows) > longest:
            rows //= 2
        return rows

    async def _answer(
        self,
        servable: Servable,
        groups: list[tuple[datetime | None, Batch]],
        result: ResultFile,
        first_row: int,
    ) -> None:
        """Answer groups of rows, in one iteration of the loop where the model is quick."""
        answers = await asyncio.gather(
            *(self._predict(servable, batch, event_time) for event_time, batch in groups),
            return_exceptions=True,
        )
        # Those beside a failed one are logged too, so they are in the result.
        failures = []
        for answer, (_, batch) in zip(answers, groups, strict=True):
            if isinstance(answer, BaseException):
                failures.append(answer)
            else:
                result.add(servable, answer, first_row=first_row)
                self._metrics.scored(servable, batch.rows)
            first_row += batch.rows
        if failures:
            raise failures[0]

    async def _predict(self, servable: Servable, batch: Batch, event_time: datetime | None) -> Prediction:
        while True:
            try:
                return await self._predictor.predict(servable, batch, event_time=event_time, traceparent="")
            except SpoolFull:  # each attempt would drop and count the same rows again
                raise
            except OperatorError:  # the queue is long: requests go first
                await asyncio.sleep(_BUSY_WAIT_SECONDS)


def _columns(servable: Servable, options: FileOptions) -> frozenset[str]:
    names = {feature.name for feature in servable.schema.features}
    return frozenset(names | ({options.event_time_column} if options.event_time_column else set()))


def _groups(
    servable: Servable, table: pa.Table, options: FileOptions, first_row: int
) -> list[tuple[datetime | None, Batch]]:
    """Checked rows by event time: consecutive ones of one time are one record of the log. None is the time of the answer."""
    if options.event_time_column is None:
        given = options.event_time
        moment = None if given is None else parse_event_time(given, datetime.now(UTC), field="event_time")
        return [(moment, to_batch(servable.schema, table, first_row=first_row))]
    times = event_times(table, options.event_time_column, first_row=first_row)
    groups: list[tuple[datetime | None, Batch]] = []
    start = 0
    for moment, same in groupby(times):
        length = len(list(same))
        batch = to_batch(servable.schema, table.slice(start, length), first_row=first_row + start)
        groups.append((moment, batch))
        start += length
    return groups
