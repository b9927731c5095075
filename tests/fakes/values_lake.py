"""Rows of a model of several values in the lake, by the path of real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from shared.contracts.loop_spec import LoopSpec
from shared.spool.record import OutcomeRecord, PredictionRecord
from shared.stores.lake import Lake
from tests.fakes.class_lake import HOUR, START, append_records


def fill_values_lake(
    lake: Lake,
    loop: LoopSpec,
    lines: Sequence[int],
    answers: npt.NDArray[np.float32],
    outcomes: Sequence[Mapping[str, float] | None],
    *,
    version: str = "0" * 64,
) -> None:
    """Row i, a minute after the one before, asked with `lines[i]` and answered with `answers[i]`; its outcome follows after half
    an hour, unless it is None."""
    times = [START + timedelta(minutes=row) for row in range(len(lines))]
    predictions = [
        PredictionRecord(
            model=loop.model,
            sequence=row,
            version=version,
            generation=1,
            event_time=times[row],
            answered_at=times[row],
            prediction_ids=[f"p{row}"],
            scores=None,
            columns={"line": [lines[row]]},
            vectors=answers[row : row + 1],
        )
        for row in range(len(lines))
    ]
    observed = [
        OutcomeRecord(loop.model, row, time, [f"p{row}"], [None], [time + HOUR / 2], numbers=[numbers])
        for row, (time, numbers) in enumerate(zip(times, outcomes, strict=True))
        if numbers is not None
    ]
    append_records(lake, loop.model, predictions, observed)
