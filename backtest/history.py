"""The rows that a back-test replays: in time order, each with the time at which its outcome became known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.event_time import INSTANT, from_micros, to_micros
from shared.contracts.lake_schema import TIMESTAMP
from shared.contracts.loop_spec import LoopSpec
from shared.errors import ProjectError

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class History:
    """`rows`: event_time, the features, outcome (null: not known) and prediction_id, in time order.

    `times`: event times, `known_at`: when each outcome was observed, both in µs since 1970; NEVER for a row without one.
    """

    rows: pa.Table
    times: npt.NDArray[np.int64]
    known_at: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.times.size)

    def from_time(self, moment: datetime) -> int:
        """Number of the first row at or after a time."""
        return int(np.searchsorted(self.times, to_micros(moment), "left"))

    def after_time(self, moment: datetime) -> int:
        """Number of the first row after a time."""
        return int(np.searchsorted(self.times, to_micros(moment), "right"))

    @property
    def end(self) -> datetime:
        """Event time of the last row."""
        return from_micros(int(self.times[-1]))


def make_history(rows: pa.Table, loop: LoopSpec) -> History:
    """The history of rows with event_time, the features and outcome; in a column `observed_at` may be when each outcome became
    known, which is `outcome.delay` after the event otherwise. Raises ProjectError where there is nothing to replay.
    """
    delay = loop.require_performance().outcome.delay
    order = pc.sort_indices(rows, [("event_time", "ascending")])
    rows = rows.take(order).combine_chunks()
    times = _micros(rows["event_time"])
    outcome = rows["outcome"].combine_chunks()
    if pa.types.is_floating(outcome.type):
        outcome = pc.if_else(pc.is_nan(outcome), pa.scalar(None, outcome.type), outcome)
    known = pc.is_valid(outcome).to_numpy(zero_copy_only=False)
    if not known.any():
        raise ProjectError("no row has an outcome", hint="give rows of which most have an outcome")
    observed = times + delay // INSTANT
    if "observed_at" in rows.column_names:
        observed = _micros(pc.coalesce(rows["observed_at"].cast(TIMESTAMP), pa.array(observed, TIMESTAMP)))
    columns = {"event_time": rows["event_time"].cast(TIMESTAMP), "outcome": outcome}
    columns |= {feature.name: rows[feature.name] for feature in loop.features}
    # The same rows have the same ids in every replay, so that the same training rows are the same bytes.
    columns["prediction_id"] = pa.array([f"{number:026d}" for number in range(len(times))])
    return History(pa.table(columns), times, np.where(known, observed, NEVER))


def default_start(history: History, loop: LoopSpec) -> datetime:
    """The earliest event time at which a run of the loop has enough rows: the first version is trained as a run then would be.

    Raises ProjectError where the history ends before that.
    """
    performance = loop.require_performance()
    known = np.flatnonzero(history.known_at < NEVER)
    needed = performance.retraining.minimum_rows
    delay, holdout = performance.outcome.delay, performance.gate.holdout
    if known.size > needed:
        enough = from_micros(int(history.times[known[needed]])) + INSTANT + 2 * delay + holdout
        # Runs count back from the newest row.
        number = history.from_time(enough)
        if number < len(history) - 1:
            return from_micros(int(history.times[number]))
    raise ProjectError(
        f"the history has {known.size} rows with outcomes: it ends before a first version could be trained",
        hint=f"a first version needs retraining.minimum_rows ({needed}) rows, and gate.holdout and twice outcome.delay after "
        "them; give a longer history",
    )


def _micros(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.cast(pc.cast(column, TIMESTAMP), pa.int64()).to_numpy(), dtype=np.int64)
