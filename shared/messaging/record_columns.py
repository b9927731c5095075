"""Columns of many spool records at once. A record may hold one row, so nothing is done per record that can be done for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from shared.spool.record import OutcomeRecord, PredictionRecord


def repeated(values: Sequence[Any], counts: Sequence[int], kind: pa.DataType) -> pa.Array:
    """Each value as often as its record has rows."""
    if values.count(values[0]) == len(values):
        return pa.repeat(pa.scalar(values[0], kind), sum(counts))
    found = pa.array(values, kind)
    return found if counts.count(1) == len(counts) else found.take(pa.array(_record_of_row(counts)))


def _record_of_row(counts: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.repeat(np.arange(len(counts)), counts)


def sequences(records: Sequence[PredictionRecord] | Sequence[OutcomeRecord]) -> pa.Array:
    """Row i of a record has the record's sequence + i."""
    counts = np.array([len(record.prediction_ids) for record in records])
    firsts = np.array([record.sequence for record in records], np.int64)
    starts = np.cumsum(counts) - counts
    return pa.array(np.repeat(firsts - starts, counts) + np.arange(counts.sum()), pa.int64())


def chained(parts: Sequence[Sequence[Any] | None], counts: Sequence[int]) -> list[Any]:
    """The values of all records; None for each row of a record without any."""
    if None in parts:
        parts = [
            part if part is not None else [None] * count for part, count in zip(parts, counts, strict=True)
        ]
    return list(chain.from_iterable(parts))  # type: ignore[arg-type]


def given_values(records: Sequence[PredictionRecord]) -> Iterator[tuple[str, Sequence[Sequence[Any] | None]]]:
    """Each feature, and its values of every record. Records of one version name the same features, mostly in the same order."""
    names = list(records[0].columns)
    if not any(record.tensors for record in records) and all(
        list(record.columns) == names for record in records
    ):
        yield from zip(names, zip(*(record.columns.values() for record in records), strict=True), strict=True)
        return
    for name in dict.fromkeys(name for record in records for name in (*record.columns, *record.tensors)):
        yield name, [record.columns.get(name) for record in records]
