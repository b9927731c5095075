"""Answered rows and outcomes with contents one can check by head: row i of a writer says so in its id and its features."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shared.spool import SpoolWriter

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
