"""What a policy would have decided on logged verdicts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.retraining.policy import what_if as policy
from services.retraining.policy.decide import decide
from services.retraining.policy.decision import MAX_VERDICTS
from services.retraining.policy.what_if import LoggedDecision, what_if
from shared.contracts.retraining_spec import MAX_TRIGGERS
from shared.contracts.verdict import Verdict
from tests.unit.services.retraining.policy.test_decide import PERFORMANCE, at, spec_with, verdict


def logged(*verdicts: Verdict, code: str = "healthy") -> list[LoggedDecision]:
    return [LoggedDecision(one, "wait", code) for one in verdicts]


def runs_on(verdicts: list[LoggedDecision], **retraining: Any) -> list[int]:
    """The days of the runs that a policy would have started."""
    found = what_if(spec_with("observe", **retraining), verdicts, at(0))
    return [(one.logged.verdict.window_end - at(0)).days for one in found if one.decision.action == "retrain"]


def test_runs_of_the_policy_itself_limit_it() -> None:
    drift = logged(*(verdict(day) for day in range(1, 13)))
    assert runs_on(drift, triggers=[PERFORMANCE], cooldown="4d") == [1, 5, 9]
    assert runs_on(drift, triggers=[PERFORMANCE], budget={"runs": 2, "per": "10d"}) == [1, 2, 11, 12]
    assert runs_on(drift, triggers=[PERFORMANCE]) == list(range(1, 13))


def test_schedules_count_from_its_own_runs() -> None:
    quiet = logged(*(verdict(day, "ok") for day in range(1, 13)))
    assert runs_on(quiet, triggers=[{"when": "schedule", "every": "5d"}]) == [5, 10]


def test_windows_in_a_row_and_new_rows_are_of_the_log() -> None:
    verdicts = logged(verdict(1), verdict(2, "ok"), verdict(3), verdict(4), verdict(5, "ok"))
    assert runs_on(verdicts, triggers=[{**PERFORMANCE, "windows": 2}]) == [4]
    # 90 outcomes in each window.
    assert runs_on(verdicts, triggers=[{"when": "new_rows", "rows": 180}]) == [2, 4]


def test_policy_sees_as_many_verdicts_as_it_does_in_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a log of ten thousand verdicts takes seconds, and not the square of them."""
    seen: list[int] = []

    def counting(*arguments: Any) -> Any:
        seen.append(len(arguments[2].verdicts))
        return decide(*arguments)

    monkeypatch.setattr(policy, "decide", counting)
    hours = [(at(0) + timedelta(hours=hour), at(0) + timedelta(hours=hour + 1)) for hour in range(200)]
    quiet = [
        verdict(1, "ok").model_copy(update={"window_start": start, "window_end": end}) for start, end in hours
    ]
    # 90 outcomes in each window: a count that does not begin anew after a run would start one in every window.
    assert runs_on(logged(*quiet), triggers=[{"when": "new_rows", "rows": 90 * 120}]) == [5]
    assert (seen[0], seen[-1], max(seen)) == (0, MAX_VERDICTS, MAX_VERDICTS)


def test_verdicts_on_replaced_versions_are_left_out() -> None:
    assert what_if(spec_with(), logged(verdict(1), code="version_replaced"), at(0)) == []
    [one] = what_if(spec_with(), logged(verdict(1, "data_fault")), at(0))
    assert one.decision.reason_code == "bad_data"


def test_number_of_triggers_is_bounded() -> None:
    """Whoever may read may ask: a policy of a million triggers would keep a processor busy for hours."""
    schedule = {"when": "schedule", "every": "5d"}
    spec_with("observe", triggers=[schedule] * MAX_TRIGGERS)
    with pytest.raises(ValueError, match="at most 32 items"):
        spec_with("observe", triggers=[schedule] * (MAX_TRIGGERS + 1))
    with pytest.raises(ValueError, match="at most 4 items"):
        spec_with("observe", triggers=[{"when": "drift", "kinds": ["feature"] * 5}])
