"""Answered rows and outcomes with contents one can check by head: row i of a writer says so in its id and its features."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from shared.spool import SpoolWriter
from shared.spool.record import Classes

NOON = datetime(2013, 3, 1, 12, tzinfo=UTC)
VERSION = "a" * 64


def append_rows(
    spool: SpoolWriter,
    first: int,
    count: int = 1,
    *,
    model: str = "flights",
    version: str = VERSION,
    prefix: str = "",
) -> bool:
    """One request of `count` rows: row i happened i seconds after noon and has the id `<prefix><i>`."""
    numbers = range(first, first + count)
    return spool.append_predictions(
        model=model,
        version=version,
        generation=1,
        event_time=NOON + timedelta(seconds=first),
        answered_at=datetime.now(UTC),
        prediction_ids=[f"{prefix}{number}" for number in numbers],
        scores=[number / 10 for number in numbers],
        columns={"distance": [float(number) for number in numbers], "carrier": ["UA"] * count},
        traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
    )


def append_outcomes(
    spool: SpoolWriter,
    first: int,
    count: int = 1,
    *,
    value: float = 1.0,
    model: str = "flights",
    prefix: str = "",
) -> bool:
    """The truth about rows `first` and following, observed an hour later."""
    return spool.append_outcomes(
        model=model,
        received_at=datetime.now(UTC),
        prediction_ids=[f"{prefix}{number}" for number in range(first, first + count)],
        values=[value] * count,
        observed_at=[NOON + timedelta(hours=1, seconds=number) for number in range(first, first + count)],
    )


def append_class_rows(spool: SpoolWriter, first: int, labels: list[str], *, model: str = "flights") -> bool:
    """One request answered by a model with three classes: row i has the label given, with probability 0.5."""
    scores = np.array([[0.5, 0.25, 0.25]] * len(labels), np.float32)
    return _append_answers(
        spool, first, len(labels), model, scores=[0.5] * len(labels), classes=Classes(labels, scores)
    )


def append_value_rows(
    spool: SpoolWriter, first: int, numbers: list[list[float]], *, model: str = "flights"
) -> bool:
    """One request answered by a model of several values."""
    return _append_answers(
        spool, first, len(numbers), model, scores=None, vectors=np.array(numbers, np.float32)
    )


def append_label_outcomes(
    spool: SpoolWriter, first: int, labels: list[str], *, model: str = "flights"
) -> bool:
    """The labels that turned out to be true of row `first` and the following, observed an hour later."""
    return _append_truth(spool, first, len(labels), model, labels=labels)


def append_value_outcomes(
    spool: SpoolWriter, first: int, numbers: list[dict[str, float]], *, model: str = "flights"
) -> bool:
    """The numbers that turned out to be true of row `first` and the following, observed an hour later."""
    return _append_truth(spool, first, len(numbers), model, numbers=numbers)


def _append_answers(spool: SpoolWriter, first: int, count: int, model: str, **answers: Any) -> bool:
    rows = range(first, first + count)
    return spool.append_predictions(
        model=model,
        version=VERSION,
        generation=1,
        event_time=NOON + timedelta(seconds=first),
        answered_at=datetime.now(UTC),
        prediction_ids=[str(row) for row in rows],
        columns={"distance": [float(row) for row in rows]},
        **answers,
    )


def _append_truth(spool: SpoolWriter, first: int, count: int, model: str, **outcomes: Any) -> bool:
    rows = range(first, first + count)
    return spool.append_outcomes(
        model=model,
        received_at=datetime.now(UTC),
        prediction_ids=[str(row) for row in rows],
        values=[None] * count,
        observed_at=[NOON + timedelta(hours=1, seconds=row) for row in rows],
        **outcomes,
    )
