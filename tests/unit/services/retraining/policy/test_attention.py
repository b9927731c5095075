"""The rules for issues, without a database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.retraining.policy.attention import TAKEN_BACK, EarlierRun, Issue, issue_of
from services.retraining.run_states import ENDS, OPEN
from tests.fakes.retraining_installation import START


def ran(state: str, day: int = 1, *, suggested: bool = False, counts: bool = True) -> EarlierRun:
    return EarlierRun(state, START + timedelta(days=day), suggested, counts)


@pytest.mark.parametrize("state", ["ok", "insufficient_data", "warming_up", "asked", "announced", "resolved"])
@pytest.mark.parametrize("run", ["", *OPEN, *ENDS])
def test_without_drift_only_an_unsuccessful_run_is_an_issue(state: str, run: str) -> None:
    assert issue_of(state, "healthy", run, ()) == (run if run in ("failed", "refused") else None)


@pytest.mark.parametrize("state", ["asked", "drift", "ok"])
def test_run_that_ended_the_service_again_and_again_is_an_issue(state: str) -> None:
    """Also one that a person has requested; too little data is no failure."""
    assert issue_of(state, "requested", "abandoned", (), "service_died") == "failed"
    assert issue_of("asked", "requested", "abandoned", (), "unfit_data") is None


@pytest.mark.parametrize("run", ["", *OPEN, *ENDS])
def test_data_fault_is_always_an_issue(run: str) -> None:
    assert issue_of("data_fault", "bad_data", run, ()) == "data_fault"


EXPECTED: dict[str, Issue | None] = {
    **dict.fromkeys((*OPEN, "promoted", "rejected")),
    **dict.fromkeys(("succeeded", "abandoned"), "drift"),
    "failed": "failed",
    "refused": "refused",
}


@pytest.mark.parametrize("run", [*OPEN, *ENDS])
def test_drift_is_resolved_by_open_promoted_or_rejected_run(run: str) -> None:
    assert issue_of("drift", "drift", run, ()) == EXPECTED[run]


@pytest.mark.parametrize("run", [*OPEN, *ENDS])
@pytest.mark.parametrize(
    "reason_code", ["run_in_progress", "suggestion_open", "cooling_down", "same_incident"]
)
def test_drift_that_waited_follows_the_run(reason_code: str, run: str) -> None:
    answered = EXPECTED[run] is None
    assert issue_of("drift", reason_code, "", [ran(run, suggested=True)]) == (None if answered else "drift")


@pytest.mark.parametrize(
    "reason_code", ["no_trigger", "observe_only", "no_project", "budget_spent", "verdict_awaited"]
)
def test_drift_without_run_is_an_issue(reason_code: str) -> None:
    assert issue_of("drift", reason_code, "", [ran("promoted")]) == "drift"


def test_drift_is_unresolved_if_the_version_was_taken_back() -> None:
    assert issue_of("drift", "drift", TAKEN_BACK, ()) == "drift"
    assert issue_of("ok", "schedule", TAKEN_BACK, ()) is None
    assert issue_of("drift", "cooling_down", "", (ran(TAKEN_BACK),)) == "drift"


def test_drift_of_a_replaced_version_is_no_issue() -> None:
    assert issue_of("drift", "version_replaced", "", ()) is None


@pytest.mark.parametrize(
    "reason_code", ["run_in_progress", "suggestion_open", "cooling_down", "same_incident"]
)
def test_unknown_run_resolves_nothing(reason_code: str) -> None:
    assert issue_of("drift", reason_code, "", ()) == "drift"


def test_each_wait_reason_follows_its_run() -> None:
    runs = [
        ran("promoted", 9),
        ran("rejected", 2, suggested=True, counts=False),
        ran("refused", 3),
        ran("abandoned", 12, counts=False),
    ]
    assert issue_of("drift", "run_in_progress", "", runs[:3]) == "drift"
    assert issue_of("drift", "suggestion_open", "", runs[:3]) is None
    assert issue_of("drift", "cooling_down", "", runs) is None  # of day 9, whichever was begun last
