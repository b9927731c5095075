"""Evidence, added up over time, that the served version is worse than the first one on the same rows. Pure.

Unlike the watch of a release (paired_test.py), which asks once whether a new version is worse, this goes on for as long as the
version is served, and finds a version that becomes worse after months of being better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from services.retraining.watch.blocks import BLOCKS_PER_WATCH, MINIMUM_ROWS, Block, Floats, mean_losses
from services.retraining.watch.paired_test import CLIP, STAKES
from shared.contracts.loop_spec import LoopSpec

# Blocks that are kept: the scale of a difference is the median of theirs, and an onset lies in them. A month of six hours each.
KEPT_BLOCKS = 120
# Of `drift.false_alarms_per_30_days`, beside the budget that drift divides among its own detectors.
BUDGET_SHARE = 0.05
_BLOCK_WITHOUT_WATCH = timedelta(hours=6)
_MONTH = timedelta(days=30)


def block_length(loop: LoopSpec) -> timedelta:
    """Event time of a block: as in the watch of a release, or six hours where releases are not watched."""
    return loop.rollout.watch / BLOCKS_PER_WATCH or _BLOCK_WITHOUT_WATCH


def blocks_between_alarms(loop: LoopSpec) -> float:
    """Mean number of blocks between false alarms, at least: from the alarm budget and the length of a block."""
    budget = BUDGET_SHARE * loop.drift.false_alarms_per_30_days
    return max(2.0, (_MONTH / block_length(loop)) / budget)


def split_blocks(
    begin: datetime,
    until: datetime,
    length: timedelta,
    times: npt.NDArray[np.int64],
    losses: Floats,
    first_losses: Floats,
) -> list[Block]:
    """Blocks of `length` from `begin` on that end at or before `until`; one with fewer than MINIMUM_ROWS rows also has the next.

    `times`: event times in microseconds, ascending. Rows after the last block are in none.
    """
    blocks: list[Block] = []
    opened, first, edge = begin, 0, begin + length
    while edge <= until:
        last = int(np.searchsorted(times, edge.timestamp() * 1e6))
        if last - first >= MINIMUM_ROWS:
            kept = slice(first, last)
            means = float(losses[kept].mean()), float(first_losses[kept].mean())
            blocks.append(Block(opened, edge, last - first, *means))
            opened, first = edge, last
        edge += length
    return blocks


@dataclass(frozen=True)
class FirstEvidence:
    """The detector's state after some blocks, oldest first.

    `sums`: by stake, the sum of the wealth of gamblers of whom one began at each block. `peaks`, `starts`: by stake, the wealth
    of the one who did best, and where he began (CUSUM).
    """

    sums: tuple[float, ...] = (0.0,) * STAKES.size
    peaks: tuple[float, ...] = (1.0,) * STAKES.size
    starts: tuple[datetime | None, ...] = (None,) * STAKES.size
    blocks: tuple[Block, ...] = ()

    def add(self, block: Block, allowed: float) -> FirstEvidence:
        """With one more block. `allowed`: share of the first version's loss that the served one may have, such as 1.02.

        Null hypothesis: whatever happened before, the expected D = loss - allowed * (loss of the first version) of a block is not
        above 0. D is divided by twice the median |D| of the blocks before and clipped to x in [-1, 1], as in paired_test.py, so
        that 1 + s x has an expectation of at most 1 for each stake s. The Shiryaev-Roberts recursion M <- (M + 1) (1 + s x) adds
        up the products from every possible start: an alarm when the mean of M over the stakes reaches A has a mean time between
        false alarms of at least A blocks, whatever the distribution (Shin, Ramdas and Rinaldo, E-detectors, New England Journal
        of Statistics in Data Science 2024). The losses of one block may depend on each other in any way.

        >>> from datetime import UTC
        >>> day = datetime(2013, 1, 1, tzinfo=UTC)
        >>> random = np.random.default_rng(4)
        >>> evidence, alarms = FirstEvidence(), []
        >>> for number in range(400):  # after 300 blocks, the served version loses a third more
        ...     noise = random.normal(0.0, 0.1)
        ...     loss = (0.3 if number < 300 else 0.4) + noise + random.normal(0.0, 0.05)
        ...     at = day + number * timedelta(hours=6)
        ...     evidence = evidence.add(Block(at, at + timedelta(hours=6), 50, loss, 0.3 + noise), 1.02)
        ...     if evidence.value >= 2400:
        ...         alarms.append((number, (evidence.onset - day) / timedelta(hours=6)))
        ...         evidence = evidence.restarted()
        >>> alarms[0]
        (307, 283.0)
        """
        stakes, sums, peaks = STAKES, np.array(self.sums), np.array(self.peaks)
        factors = 1.0 + stakes * self._bet(block, allowed)
        starts = tuple(
            block.start if start is None or peak <= 1 else start
            for start, peak in zip(self.starts, self.peaks, strict=True)
        )
        return FirstEvidence(
            tuple(float(one) for one in factors * (sums + 1.0)),
            tuple(float(one) for one in factors * np.maximum(peaks, 1.0)),
            starts,
            (*self.blocks, block)[-KEPT_BLOCKS:],
        )

    def restarted(self) -> FirstEvidence:
        """After an alarm: nothing but the scale of the differences is kept."""
        return replace(FirstEvidence(), blocks=self.blocks)

    @property
    def value(self) -> float:
        """The evidence; an alarm at the mean number of blocks between false alarms."""
        return float(np.mean(self.sums))

    def ratio(self, threshold: float) -> float:
        """Logarithm of the evidence relative to that of the threshold: 0 without evidence, 1 at an alarm."""
        return max(0.0, math.log(self.value)) / math.log(threshold) if self.value > 0 else 0.0

    @property
    def onset(self) -> datetime:
        """Where the served version became worse, as the stake with the most evidence sees it; within the blocks kept."""
        found = self.starts[int(np.argmax(self.peaks))]
        assert found is not None
        return max(found, self.blocks[0].start)

    @property
    def since_onset(self) -> tuple[Block, ...]:
        """The blocks from the onset on."""
        return tuple(block for block in self.blocks if block.start >= self.onset)

    def losses(self) -> tuple[float, float]:
        """Mean losses of the served version and of the first one since the onset."""
        return mean_losses(self.since_onset)

    def to_json(self) -> dict[str, Any]:
        """For the ledger."""
        return {
            "sums": list(self.sums),
            "peaks": list(self.peaks),
            "starts": [start and start.isoformat() for start in self.starts],
            "blocks": [block.to_json() for block in self.blocks],
        }

    @classmethod
    def of_json(cls, stored: dict[str, Any]) -> FirstEvidence:
        """From the ledger."""
        return cls(
            tuple(stored["sums"]),
            tuple(stored["peaks"]),
            tuple(start and datetime.fromisoformat(start) for start in stored["starts"]),
            tuple(Block.of_json(block) for block in stored["blocks"]),
        )

    def _bet(self, block: Block, allowed: float) -> float:
        scale = CLIP * _median_size(self.blocks, allowed)
        return float(np.clip(_difference(block, allowed) / scale, -1.0, 1.0)) if scale > 0 else 0.0


def _difference(block: Block, allowed: float) -> float:
    return block.loss - allowed * block.former_loss


def _median_size(blocks: Sequence[Block], allowed: float) -> float:
    return float(np.median([abs(_difference(block, allowed)) for block in blocks])) if blocks else 0.0
