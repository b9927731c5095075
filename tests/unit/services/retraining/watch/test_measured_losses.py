"""Losses of two versions on the same rows: as numbers, and as a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from services.retraining.watch.blocks import Block
from services.retraining.watch.measured_losses import MeasuredLosses
from shared.models.losses import MetricName

START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Record(MeasuredLosses):
    metric: MetricName
    tolerance: float
    blocks: tuple[Block, ...]


BLOCKS = (Block(START, START, 10, 4.0, 1.0), Block(START, START, 30, 4.0, 1.0))


def test_losses_are_means_over_rows_in_the_metric() -> None:
    assert Record("log_loss", 0.0, BLOCKS).losses == (4.0, 1.0)
    assert Record("rmse", 0.0, BLOCKS).losses == (2.0, 1.0)
    assert Record("rmse", 0.0, BLOCKS).rows == 40
    assert Record("rmse", 0.0, ()).losses is None


@pytest.mark.parametrize(
    ("tolerance", "told", "evidence"), [(0.0, "", "1.2"), (0.25, ", tolerance 0.25", "1.15")]
)
def test_sentence_names_the_other_version_and_what_is_needed(
    tolerance: float, told: str, evidence: str
) -> None:
    assert Record("rmse", tolerance, BLOCKS).beside("the live version") == (
        "rmse 2.00000, of the live version 1.00000 on the same 40 rows in 2 blocks"
        f"{told}; evidence that it is worse {evidence}, needed 20"
    )
