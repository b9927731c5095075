"""What a back-test found: figures of each policy, as a document for programs, and losses over time for the plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from backtest.policy import KEYS, Policy
from backtest.simulation import SimulatedRun
from shared.contracts.event_time import from_micros
from shared.models.losses import MetricName, in_unit

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
_DIGITS = 9


@dataclass(frozen=True)
class PolicyResult:
    """`loss`: mean of what was served, in the metric's unit. `cost`, `regret` (against the best schedule) in units of `costs`.

    `served`: the losses of each model that answered, with the first row that it answered, counted from the start.
    """

    policy: Policy
    loss: float
    trainings: int
    cost: float
    regret: float
    best_cost: float
    best_trainings: tuple[datetime, ...]
    verdicts: int
    runs: tuple[SimulatedRun, ...]
    promoted_at: tuple[datetime, ...]
    served: tuple[tuple[int, Floats], ...]

    @property
    def promotions(self) -> int:
        """Releases after the first version."""
        return len(self.promoted_at)

    def document(self) -> dict[str, Any]:
        """As JSON. The digest leaves out nothing that a second back-test of the same rows would not give again."""
        retraining = self.policy.loop.require_performance().retraining
        costs = self.policy.costs
        return {
            "name": self.policy.name,
            "policy": self.policy.digest,
            "retraining": retraining.model_dump(mode="json", include=set(KEYS)),
            "costs": costs.model_dump(mode="json"),
            "loss": _rounded(self.loss),
            "trainings": self.trainings,
            "promotions": self.promotions,
            "cost": _rounded(self.cost),
            "regret": _rounded(self.regret),
            "best_cost": _rounded(self.best_cost),
            "best_trainings": [moment.isoformat() for moment in self.best_trainings],
            "verdicts": self.verdicts,
            "runs": [
                {
                    "event_time": run.event_time.isoformat(),
                    "trigger": run.trigger,
                    "state": run.state,
                    "training_rows": run.rows,
                    "reason": run.reason,
                }
                for run in self.runs
            ],
        }


@dataclass(frozen=True)
class BacktestResult:
    """Losses are of `rows` rows with outcomes, from `start` to `end`; `times` (µs), `frozen`, `has_outcome`: of every row."""

    model: str
    metric: MetricName
    start: datetime
    end: datetime
    rows: int
    frozen_loss: float
    first_version_rows: int
    candidates: int
    trained: int
    reused: int
    times: Times
    has_outcome: npt.NDArray[np.bool_]
    frozen: Floats
    policies: tuple[PolicyResult, ...]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "model": self.model,
            "metric": self.metric,
            "from": self.start.isoformat(),
            "until": self.end.isoformat(),
            "rows": self.rows,
            "frozen_loss": _rounded(self.frozen_loss),
            "first_version_rows": self.first_version_rows,
            "candidates": self.candidates,
            "policies": [{**one.document(), "digest": self.digest(one)} for one in self.policies],
        }

    def digest(self, one: PolicyResult) -> str:
        """Names the result of a policy: of its figures and of the rows they are about. Reasons of runs name latencies, so they
        are left out."""
        document = {key: value for key, value in one.document().items() if key not in ("runs", "name")}
        about = [self.model, self.metric, self.start.isoformat(), self.end.isoformat(), self.rows]
        return sha256(orjson.dumps([about, document], option=orjson.OPT_SORT_KEYS)).hexdigest()

    def record(self, one: PolicyResult) -> dict[str, Any]:
        """What `backtests.json` keeps of a policy."""
        return {
            "name": one.policy.name,
            "digest": self.digest(one),
            "from": self.start.isoformat(),
            "until": self.end.isoformat(),
            "rows": self.rows,
            "metric": self.metric,
            "loss": _rounded(one.loss),
            "frozen_loss": _rounded(self.frozen_loss),
            "trainings": one.trainings,
            "promotions": one.promotions,
            "cost": _rounded(one.cost),
            "regret": _rounded(one.regret),
        }

    def over_time(self, served: Sequence[tuple[int, Floats]], parts: int) -> list[tuple[datetime, float]]:
        """The mean loss in each of `parts` equal spans of time, with the middle of the span; spans without outcomes are left out.

        `served` as in PolicyResult; `[(0, frozen)]` is the first version.
        """
        losses = np.empty(len(self.times))
        ends = [*(first for first, _ in served[1:]), len(self.times)]
        for (first, values), end in zip(served, ends, strict=True):
            losses[first:end] = values[first:end]
        edges = np.linspace(self.times[0], self.times[-1] + 1, parts + 1)
        part = np.clip(np.searchsorted(edges, self.times, "right") - 1, 0, parts - 1)
        counts = np.bincount(part, weights=self.has_outcome, minlength=parts)
        sums = np.bincount(part, weights=losses * self.has_outcome, minlength=parts)
        return [
            (
                from_micros(int((edges[number] + edges[number + 1]) / 2)),
                in_unit(self.metric, float(total / count)),
            )
            for number, (total, count) in enumerate(zip(sums, counts, strict=True))
            if count
        ]


def _rounded(value: float) -> float:
    """Sums of floats differ in the last digits between machines."""
    return float(f"{value:.{_DIGITS}g}")
