"""Rate limits: one run at a time, cooldown, budget."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.retraining.policy.decision import PastRun
from services.retraining.policy.limits import budget_spent, cooling_until, may_start
from shared.contracts.retraining_spec import Budget
from tests.fakes.retraining_installation import START

BUDGET = Budget(runs=2, per=timedelta(days=10))


def at(day: float) -> datetime:
    return START + timedelta(days=day)


RUN = PastRun("run-1", at(1), open=False)


@pytest.mark.parametrize(
    ("runs", "reason_code"),
    [
        ([], None),
        ([replace(RUN, open=True)], "run_in_progress"),
        ([replace(RUN, open=True, suggested=True)], None),
        ([RUN], None),
        ([RUN, RUN], "budget_spent"),
        ([RUN, replace(RUN, counts=False)], None),
        ([RUN, replace(RUN, suggested=True)], None),
        ([RUN, replace(RUN, open=True)], "run_in_progress"),
    ],
)
def test_may_start_returns_the_reason(runs: list[PastRun], reason_code: str | None) -> None:
    refusal = may_start(runs, BUDGET, at(5))
    assert (refusal[0] if refusal else None) == reason_code


def test_may_start_without_budget() -> None:
    assert may_start([RUN] * 9, None, at(5)) is None


def test_limits_at_their_edges() -> None:
    assert not budget_spent([at(0)], BUDGET, at(1))
    assert budget_spent([at(0), at(1)], BUDGET, at(9.9))
    assert not budget_spent([at(0), at(1)], BUDGET, at(10))
    assert budget_spent([at(0), at(12)], BUDGET, at(9)) is False
    assert budget_spent([at(5), at(12)], BUDGET, at(9)) is True
    assert budget_spent([at(3), at(3)], BUDGET, at(3)) is True
    assert cooling_until([at(0), at(1)], timedelta(days=2), at(2.5)) == at(3)
    assert cooling_until([at(0)], timedelta(0), at(0)) is None
