"""What a policy would have decided on verdicts that are in the ledger. Pure: nothing is trained."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.retraining.cause import Cause
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import MAX_VERDICTS, Decision, History, PastRun, PastVerdict
from shared.contracts.loop_spec import LoopSpec
from shared.contracts.verdict import SCHEDULED, Verdict


@dataclass(frozen=True)
class LoggedDecision:
    """A verdict, and what was decided on it."""

    verdict: Verdict
    action: str
    reason_code: str


@dataclass(frozen=True)
class WhatIfDecision:
    """What was decided on a verdict, and what the policy would have decided."""

    logged: LoggedDecision
    decision: Decision


def what_if(
    loop: LoopSpec, logged: Sequence[LoggedDecision], trained_at: datetime | None
) -> list[WhatIfDecision]:
    """The decisions of the policy of `loop` on verdicts in their order, with `automation` as auto.

    `trained_at`: when the version of the first verdict was trained. Each verdict is decided on at the end of its window. A run
    takes no time and changes no verdict: they are those of what was served. New rows are the outcomes in the windows of
    performance since the last training. Verdicts on a version that was replaced already are left out.
    """
    loop = loop.model_copy(update={"automation": "auto"})
    runs: tuple[PastRun, ...] = ()
    before: defaultdict[str, deque[PastVerdict]] = defaultdict(lambda: deque(maxlen=MAX_VERDICTS))
    new_rows = _NewRows(trained_at)
    found: list[WhatIfDecision] = []
    for one in logged:
        verdict = one.verdict
        if one.reason_code == "version_replaced":
            continue
        history = History(
            verdict.version,
            trained_at=trained_at,
            rows_since=new_rows.add(verdict),
            runs=runs,
            verdicts=tuple(before[verdict.version]),
        )
        decision = decide(Cause.of_verdict(verdict), loop, history, verdict.window_end)
        found.append(WhatIfDecision(one, decision))
        if decision.action == "retrain":
            run = PastRun(
                f"what-if-{len(runs) + 1}", verdict.window_end, open=False, detector=verdict.detector
            )
            runs = (*runs, run)
            new_rows.train(run.event_time)
        if verdict.detector in SCHEDULED:
            before[verdict.version].append(
                PastVerdict(
                    verdict.window_start, verdict.window_end, verdict.state, verdict.drifted, verdict.detector
                )
            )
    return found


class _NewRows:
    """Outcomes in the windows of performance that end after the last training."""

    def __init__(self, trained_at: datetime | None) -> None:
        self._since = trained_at
        self._windows: list[tuple[datetime, int]] = []
        self._outcomes = 0

    def add(self, verdict: Verdict) -> int:
        """The number, with those of this verdict."""
        if verdict.detector == "performance" and (self._since is None or verdict.window_end > self._since):
            self._windows.append((verdict.window_end, verdict.outcomes))
            self._outcomes += verdict.outcomes
        return self._outcomes

    def train(self, at: datetime) -> None:
        """Outcomes up to the event time of a run are not new any more."""
        self._since = at if self._since is None else max(self._since, at)
        self._windows = [window for window in self._windows if window[0] > self._since]
        self._outcomes = sum(outcomes for _, outcomes in self._windows)
