"""What each policy has cost so far, from what was measured while the armed one acted. Pure.

Trainings are counted: those of the armed policy, and those that a shadow policy would have started. Losses are compared where two
versions were scored on the same rows: in the blocks of watched releases. On such a block a policy is charged with the loss of the
released version if it had started a run by then that the release came from, or later; else with that of the former version. On
other rows nothing distinguishes the policies, so they are charged alike, with nothing. What a run would have gained that only a
shadow policy would have started is not known: its cost is charged, and no gain.

Regret is the cost of a policy minus that of the cheapest one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.retraining_spec import Costs


@dataclass(frozen=True)
class MeasuredBlock:
    """`rows` rows from `start` on, with the mean loss of the released and of the former version."""

    start: datetime
    rows: int
    loss: float
    former_loss: float


@dataclass(frozen=True)
class MeasuredRelease:
    """A promotion: the event time of its run, that of the run before it (None: there was none), and its blocks."""

    run_at: datetime
    run_before: datetime | None
    blocks: tuple[MeasuredBlock, ...]


@dataclass(frozen=True)
class PolicyCost:
    """`measured_rows`: rows on which losses were compared. `regret`: of all policies the cheapest has 0."""

    policy: str
    runs: int
    training: float
    loss: float
    measured_rows: int
    regret: float = 0.0

    @property
    def total(self) -> float:
        """The cost."""
        return self.training + self.loss


def live_costs(
    costs: Costs,
    runs: Sequence[tuple[str, Sequence[datetime]]],
    releases: Sequence[MeasuredRelease],
) -> list[PolicyCost]:
    """The cost of each policy, given the event times of its `runs`.

    >>> from datetime import timedelta
    >>> day = lambda number: datetime(2013, 1, 1) + timedelta(days=number)
    >>> release = MeasuredRelease(day(7), None, (MeasuredBlock(day(8), 100, 0.5, 0.6),))
    >>> found = live_costs(Costs(training=1), [("armed", [day(7)]), ("never", [])], [release])
    >>> [(one.policy, round(one.regret, 2)) for one in found]
    [('armed', 0.0), ('never', 9.0)]
    """
    found = [_cost(costs, policy, times, releases) for policy, times in runs]
    cheapest = min((one.total for one in found), default=0.0)
    return [
        PolicyCost(one.policy, one.runs, one.training, one.loss, one.measured_rows, one.total - cheapest)
        for one in found
    ]


def _cost(
    costs: Costs, policy: str, times: Sequence[datetime], releases: Sequence[MeasuredRelease]
) -> PolicyCost:
    loss, rows = 0.0, 0
    for release in releases:
        for block in release.blocks:
            # A run that ends after the one before is as good as the one that the release came from; a later one comes later.
            has_it = any(
                (release.run_before is None or at > release.run_before)
                and at <= max(release.run_at, block.start)
                for at in times
            )
            loss += block.rows * (block.loss if has_it else block.former_loss)
            rows += block.rows
    return PolicyCost(policy, len(times), costs.training * len(times), costs.loss * loss, rows)
