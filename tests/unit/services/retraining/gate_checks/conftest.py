"""Comparisons of two models of a probability on seeded rows, four an hour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from services.retraining.gate_checks.comparison import Comparison, Scored
from shared.contracts.loop_spec import LoopSpec
from shared.models.losses import row_losses
from tests.fakes.retraining_installation import loop_with

Compare = Callable[..., Comparison]
FEATURES = [
    {"name": "x", "type": "number", "nullable": True},
    {"name": "color", "type": "category", "values": ["red", "blue", "green"], "nullable": True},
]


def scored(scores: npt.NDArray[np.float64], outcomes: npt.NDArray[np.float64]) -> Scored:
    return Scored(scores, outcomes, row_losses("log_loss", scores, outcomes))


@pytest.fixture
def compare() -> Compare:
    """`champion` and `challenger`: functions of the true probabilities and of whether a row is red."""

    def make(champion: Any, challenger: Any, *, rows: int = 4000, seed: int = 1, **loop: Any) -> Comparison:
        random = np.random.default_rng(seed)
        x, red = random.normal(size=rows), random.random(rows) < 0.3
        p = 1 / (1 + np.exp(-2 * x))
        outcomes = (random.random(rows) < p).astype(float)
        times = pa.array(np.arange(rows) * 900_000_000, pa.timestamp("us", "UTC"))
        table = pa.table(
            {"event_time": times, "x": x, "color": np.where(red, "red", "blue"), "outcome": outcomes}
        )
        spec = LoopSpec.model_validate(loop_with(features=FEATURES, **loop))
        return Comparison(
            spec, table, scored(champion(p, red), outcomes), scored(challenger(p, red), outcomes), False
        )

    return make
