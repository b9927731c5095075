"""Answers to runs that do not wait for a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.retraining.ledger.approvals.answers import is_repeated, not_waiting
from services.retraining.ledger.records import Run
from services.retraining.run_states import ENDS, WORKING, State
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_installation import LOOP, MODEL, START

RUN = Run(
    run_id="run-1",
    cause_key="k1",
    model=MODEL,
    state="queued",
    event_time=START,
    change_since=None,
    champion="",
    directory="",
    loop=LoopSpec.model_validate(LOOP),
    lake=None,
    snapshot=None,
    version="",
    generation=None,
    reason_code="drift",
    reason="the loss rose.",
    attempts=0,
    step_starts=0,
    seconds={},
    created_at=START,
    state_changed_at=START,
    ended_at=None,
)


@pytest.mark.parametrize("state", [*WORKING, *ENDS])
def test_repetition_needs_the_wanted_state(state: State) -> None:
    run = replace(RUN, state=state)
    assert is_repeated(run, "yes", "yes") is (state in WORKING or state == "promoted")
    assert is_repeated(run, "no", "no") is (state == "rejected")
    assert not is_repeated(run, "no", "yes")
    assert not is_repeated(run, "yes", "no")


@pytest.mark.parametrize(
    ("state", "message", "hint"),
    [
        ("training", "run run-1 is training and cannot be approved; only a waiting run can", "in progress"),
        (
            "refused",
            "run run-1 is refused and cannot be approved; only a waiting run can: the loss rose",
            "next cause",
        ),
        (
            "promoted",
            "run run-1 is promoted and cannot be approved; only a waiting run can: the loss rose",
            "rollback",
        ),
        (
            "succeeded",
            "run run-1 is succeeded and cannot be approved; only a waiting run can: the loss rose",
            f"POST /models/{MODEL}/deployments",
        ),
    ],
)
def test_conflict_names_state_and_hint(state: State, message: str, hint: str) -> None:
    error = not_waiting(replace(RUN, state=state), "yes")
    assert error.message == message
    assert hint in error.hint
