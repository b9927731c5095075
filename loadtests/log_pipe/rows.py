"""Rows of the benchmarks of the prediction log: ten features, as the flights example has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.spool import SpoolWriter

MODEL = "bench"
_START = datetime(2013, 1, 1, tzinfo=UTC)


def request(first: int, count: int) -> dict[str, Any]:
    """An answered request of `count` rows, as the spool takes it."""
    columns: dict[str, list[object]] = {f"number_{place}": [0.5 * place] * count for place in range(8)}
    columns |= {"carrier": ["UA"] * count, "origin": ["JFK"] * count}
    return {
        "model": MODEL,
        "version": "a" * 64,
        "generation": 1,
        "event_time": _START,
        "answered_at": datetime.now(UTC),
        "prediction_ids": [f"{row:032d}" for row in range(first, first + count)],
        "scores": [0.25] * count,
        "columns": columns,
        "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01",
    }


def append_rows(writer: SpoolWriter, first: int, count: int) -> None:
    """Append them as one request; ends the program if the spool drops them."""
    if not writer.append_predictions(**request(first, count)):
        raise SystemExit(f"error: the spool dropped a request: {writer.statistics().last_error}")
