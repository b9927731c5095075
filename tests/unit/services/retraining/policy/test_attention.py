"""Which decisions issue a person: the whole rule, without a database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.retraining.policy.attention import EarlierRun, Issue, issue_of
from services.retraining.run_states import ENDS, OPEN
from tests.fakes.retraining_world import START


def ran(state: str, day: int = 1, *, suggested: bool = False, counts: bool = True) -> EarlierRun:
    return EarlierRun(state, START + timedelta(days=day), suggested, counts)


@pytest.mark.parametrize("state", ["ok", "insufficient_data", "warming_up", "asked", "announced", "resolved"])
@pytest.mark.parametrize("run", ["", *OPEN, *ENDS])
def test_without_drift_or_fault_only_a_run_that_came_to_nothing_concerns_anybody(
    state: str, run: str
) -> None:
    assert issue_of(state, "healthy", run, ()) == (run if run in ("failed", "refused") else None)


@pytest.mark.parametrize("run", ["", *OPEN, *ENDS])
def test_a_fault_concerns_a_person_whatever_was_done(run: str) -> None:
    assert issue_of("data_fault", "bad_data", run, ()) == "data_fault"


EXPECTED: dict[str, Issue | None] = {
    **dict.fromkeys((*OPEN, "promoted", "rejected")),
    **dict.fromkeys(("succeeded", "abandoned"), "drift"),
    "failed": "failed",
    "refused": "refused",
}


@pytest.mark.parametrize("run", [*OPEN, *ENDS])
def test_drift_is_answered_by_a_run_that_is_open_promoted_or_rejected(run: str) -> None:
    assert issue_of("drift", "drift", run, ()) == EXPECTED[run]


@pytest.mark.parametrize("run", [*OPEN, *ENDS])
@pytest.mark.parametrize("reason_code", ["run_in_progress", "suggestion_open", "cooling_down"])
def test_drift_that_waited_for_a_run_is_answered_as_that_was(reason_code: str, run: str) -> None:
    answered = EXPECTED[run] is None
    assert issue_of("drift", reason_code, "", [ran(run, suggested=True)]) == (None if answered else "drift")


@pytest.mark.parametrize(
    "reason_code", ["healthy", "observe_only", "no_project", "budget_spent", "verdict_awaited"]
)
def test_drift_that_nothing_answers_concerns_a_person(reason_code: str) -> None:
    assert issue_of("drift", reason_code, "", [ran("promoted")]) == "drift"


def test_drift_in_a_version_no_longer_served_concerns_nobody() -> None:
    assert issue_of("drift", "version_replaced", "", ()) is None


@pytest.mark.parametrize("reason_code", ["run_in_progress", "suggestion_open", "cooling_down"])
def test_a_run_that_nobody_knows_answers_nothing(reason_code: str) -> None:
    assert issue_of("drift", reason_code, "", ()) == "drift"


def test_each_kind_of_waiting_finds_its_own_run() -> None:
    runs = [
        ran("promoted", 9),
        ran("rejected", 2, suggested=True, counts=False),
        ran("refused", 3),
        ran("abandoned", 12, counts=False),
    ]
    assert issue_of("drift", "run_in_progress", "", runs[:3]) == "drift"
    assert issue_of("drift", "suggestion_open", "", runs[:3]) is None
    assert issue_of("drift", "cooling_down", "", runs) is None  # of day 9, whichever was begun last
