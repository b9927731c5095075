"""Scores a table with a server in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from prometheus_client import CollectorRegistry

from services.inference.metrics import InferenceMetrics
from services.inference.tasks.parquet_rows import ParquetRows
from services.inference.tasks.record import FileOptions
from services.inference.tasks.result_file import ResultFile
from services.inference.tasks.scorer import FileScorer
from tests.fakes.inference_server import InferenceServer

_NO_OPTIONS = FileOptions()


def scorer_of(server: InferenceServer, *, inline_seconds: float = 0.004) -> FileScorer:
    metrics = InferenceMetrics(CollectorRegistry())
    return FileScorer(server.pool, server.predictor, metrics, inline_seconds=inline_seconds)


def score_table(
    server: InferenceServer,
    table: pa.Table,
    folder: Path,
    options: FileOptions = _NO_OPTIONS,
    *,
    result: ResultFile | None = None,
) -> pa.Table:
    """The result; with `result` the answers are added to it, and it stays open."""
    source, answers = folder / "source.parquet", folder / "answers.parquet"
    pq.write_table(table, source)
    target = result or ResultFile(answers)

    async def score() -> None:
        scorer = scorer_of(server)
        rows = ParquetRows(source, maximum_rows=10_000)
        await scorer.check(rows, scorer.check_options(options))
        async for _ in scorer.score(rows, options, target):
            pass

    asyncio.run(score())
    if result is not None:
        return None
    target.close()
    return pq.read_table(answers)
