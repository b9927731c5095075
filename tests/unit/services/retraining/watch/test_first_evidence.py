"""The evidence against the first version: its false alarms, blocks and stored form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from services.retraining.watch.blocks import Block
from services.retraining.watch.first_evidence import (
    KEPT_BLOCKS,
    FirstEvidence,
    block_length,
    blocks_between_alarms,
    split_blocks,
)
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_installation import loop_with

DAY = datetime(2013, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def block(number: int, loss: float, first_loss: float) -> Block:
    return Block(DAY + number * HOUR, DAY + (number + 1) * HOUR, 50, loss, first_loss)


def alarms(differences: Any, threshold: float, allowed: float = 1.0) -> list[int]:
    """Blocks at which an alarm was raised; each began with nothing after the one before."""
    evidence, raised = FirstEvidence(), []
    for number, difference in enumerate(differences):
        evidence = evidence.add(block(number, 10.0 + difference, 10.0), allowed)
        if evidence.value >= threshold:
            raised.append(number)
            evidence = evidence.restarted()
    return raised


@pytest.mark.parametrize(
    ("draw", "raised"),
    [
        pytest.param(lambda random: random.normal(0.0, 1.0, 4000), 37, id="normal"),
        pytest.param(lambda random: random.standard_t(2, 4000), 39, id="heavy tails"),
        pytest.param(lambda random: random.choice([-1.0, 1.0], 4000), 34, id="two values"),
    ],
)
def test_equal_versions_alarm_less_often_than_stated(draw: Any, raised: int) -> None:
    found = alarms(draw(np.random.default_rng(3)), 100.0)
    assert len(found) == raised <= 4000 / 100


def test_a_version_that_became_worse_after_being_better_is_found() -> None:
    random = np.random.default_rng(5)
    better, worse = random.normal(-1.0, 1.0, 500), random.normal(1.0, 1.0, 60)
    found = alarms([*better, *worse], 2400.0)
    assert found[0] == 534


def test_a_difference_within_the_tolerance_is_no_evidence() -> None:
    differences = np.random.default_rng(6).normal(0.15, 0.1, 300)
    assert alarms(differences, 2400.0)[0] == 28
    assert alarms(differences, 2400.0, allowed=1.02) == []


def test_blocks_end_on_whole_lengths_and_have_enough_rows() -> None:
    minutes = np.array([*np.arange(0, 60, 2), *np.arange(60, 120, 6), *np.arange(120, 240, 3)])
    times = (DAY.timestamp() * 1e6 + minutes * 60e6).astype(np.int64)
    losses = minutes.astype(float)
    found = split_blocks(DAY, DAY + 3 * HOUR, HOUR, times, losses, 2 * losses)
    # The second hour has 10 rows and also has the third; the fourth is not over.
    assert [(one.start, one.end, one.rows) for one in found] == [
        (DAY, DAY + HOUR, 30),
        (DAY + HOUR, DAY + 3 * HOUR, 30),
    ]
    assert [(one.loss, one.former_loss) for one in found] == [(29.0, 58.0), (128.0, 256.0)]


def test_evidence_is_stored_as_it_is() -> None:
    evidence = FirstEvidence()
    for number in range(KEPT_BLOCKS + 5):
        evidence = evidence.add(block(number, 1.0 + number % 3, 1.0), 1.0)
    assert len(evidence.blocks) == KEPT_BLOCKS
    assert FirstEvidence.of_json(evidence.to_json()) == evidence
    assert evidence.onset == evidence.blocks[0].start
    assert evidence.losses() == (2.0, 1.0)


def test_lengths_follow_the_watch_and_the_budget() -> None:
    hours = LoopSpec.model_validate(
        loop_with(rollout={"watch": "56h"}, drift={"false_alarms_per_30_days": 2})
    )
    assert (block_length(hours), blocks_between_alarms(hours)) == (2 * HOUR, 3600.0)
    unwatched = LoopSpec.model_validate(loop_with(rollout={"watch": 0}))
    assert block_length(unwatched) == 6 * HOUR


def test_the_ratio_is_0_without_evidence_and_1_at_an_alarm() -> None:
    evidence = FirstEvidence()
    assert evidence.ratio(100.0) == 0.0
    assert FirstEvidence(sums=(100.0,) * 4).ratio(100.0) == pytest.approx(1.0)
