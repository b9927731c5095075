"""A challenger that is good offline and bad live: a weather reading that knows the outcome, until a version has learned it.

From `AFTER` into the replay on, readings of humidity are handed out in the order of the outcomes, as by a source that fills in
its readings after the flights have landed. Training rows and holdout of the next run hold them, so its version learns them and is
better on the holdout. Once it is promoted, the source answers what it has before landing: `DEFAULT`, its value for no reading.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pandas as pd

from examples.loop.poller import LoopView

BAD_CHALLENGER = "bad-challenger"
FEATURE = "humid"
AFTER = timedelta(days=8)
# Standard deviation of the noise in the order, beside outcomes of 0 and 1.
NOISE = 0.3
# The highest value that loop.yaml allows.
DEFAULT = 100.0
TIMEOUT_S = 90.0

Floats = npt.NDArray[np.float64]


def leaked(values: Floats, outcomes: Floats, random: np.random.Generator) -> Floats:
    """The same values in another order: the higher ones where the outcome is 1. Missing ones stay where they are.

    Only the relation to the outcome changes: no drift of the feature shows it.

    >>> leaked(np.array([3.0, 1.0, np.nan, 2.0]), np.array([0.0, 1.0, 1.0, 0.0]), np.random.default_rng(0)).tolist()
    [1.0, 3.0, nan, 2.0]
    """
    known = np.flatnonzero(np.isfinite(values))
    order = np.argsort(np.nan_to_num(outcomes[known]) + random.normal(0, NOISE, known.size), kind="stable")
    made = values.copy()
    made[known[order]] = np.sort(values[known])
    return made


class Leak:
    """Alters the rows of a replay until a run is promoted."""

    def __init__(self, flights: pd.DataFrame, view: LoopView, *, seed: int) -> None:
        values = flights[FEATURE].to_numpy("float64", copy=True)
        self._first = int(np.searchsorted(flights.event_time, flights.event_time.iloc[0] + AFTER))
        later = slice(self._first, None)
        outcomes = flights.outcome.to_numpy("float64")
        values[later] = leaked(values[later], outcomes[later], np.random.default_rng(seed))
        self._values = values
        self._view = view

    def alter(self, start: int, rows: Sequence[dict[Any, Any]]) -> list[dict[Any, Any]]:
        """The rows that are sent in place of those from `start` on."""
        if start < self._first:
            return list(rows)
        if any(run["state"] == "promoted" for run in self._view.runs):
            return [{**row, FEATURE: DEFAULT} for row in rows]
        values = self._values[start : start + len(rows)]
        return [
            {**row, FEATURE: float(value) if np.isfinite(value) else None}
            for row, value in zip(rows, values, strict=True)
        ]


def wait_for_rollback(
    client: httpx.Client, retraining: str, inference: str, model: str, *, timeout_s: float = TIMEOUT_S
) -> tuple[str, list[str]]:
    """What became of the first promotion, in a sentence, and the problems: it was not taken back, or is served still."""
    ends = time.monotonic() + timeout_s

    def get(url: str) -> Any:
        return client.get(url).raise_for_status().json()

    watch = _wait(lambda: _ended(get(f"{retraining}/models/{model}/releases")), ends)
    if watch is None:
        return "no promotion was watched to its end", ["the bad challenger was not promoted and watched"]
    outcome = watch["state"].replace("_", " ")
    text = f"generation {watch['generation']} was {outcome}: {watch['reason']}"
    if watch["state"] != "rolled_back":
        return text, [f"the bad challenger was {outcome}"]
    former = watch["former"]
    if _wait(lambda: _serves(get(f"{inference}/status.json"), model, former), ends):
        return text, []
    return text, [f"version {former[:12]} was released again and is not served"]


def _ended(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The first watch of a promotion, once it has ended."""
    watches: list[dict[str, Any]] = answer["watches"]
    first = next((watch for watch in watches if watch["release_reason"] == "promotion"), None)
    return first if first is not None and first["ended_at"] is not None else None


def _serves(status: dict[str, Any], model: str, version: str) -> bool | None:
    served = [one["version"] for one in status["models"] if one["name"] == model]
    return True if served == [version] else None


def _wait(look: Callable[[], Any], ends: float) -> Any:
    """What `look` finds, at the latest at `ends`; None if nothing."""
    while True:
        found = look()
        if found is not None or time.monotonic() > ends:
            return found
        time.sleep(0.3)
