"""Both models on the same rows of a holdout: what the checks are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from services.retraining.gate_checks.gain import Losses, Timestamps, blocks_of
from shared.contracts.loop_spec import LoopSpec
from shared.models.losses import Floats, Scores


@dataclass(frozen=True)
class Scored:
    """One model's answers on the rows, and what they cost. `outcomes`: as `row_losses` takes them for this model."""

    scores: Scores
    outcomes: Floats
    losses: Losses


@dataclass(frozen=True)
class Comparison:
    """The rows in time order, and both models on them. `spec` is the challenger's. `root`: the metric is the root of the mean."""

    spec: LoopSpec
    rows: pa.Table
    champion: Scored
    challenger: Scored
    root: bool

    @cached_property
    def timestamps(self) -> Timestamps:
        """Event times in microseconds."""
        return timestamps_of(self.rows)

    @cached_property
    def blocks(self) -> npt.NDArray[np.int64]:
        """The block of time of each row."""
        return blocks_of(self.timestamps)[0]


def timestamps_of(rows: pa.Table) -> Timestamps:
    """Event times in microseconds."""
    return np.asarray(pc.cast(rows["event_time"], pa.int64()).to_numpy())
