"""What a person can do about a run."""

from __future__ import annotations

import pytest

from cli.next_step import APPROVAL, next_step
from services.retraining.run_states import TRANSITIONS, WAITING


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("suggested", "`homeostat approve run-1` starts it"),
        ("waiting_for_approval", "`homeostat approve run-1` releases it"),
        ("refused", "`homeostat why run-1` explains it"),
        ("training", ""),
        ("promoted", ""),
    ],
)
def test_next_step_follows_from_the_state(state: str, step: str) -> None:
    assert state in TRANSITIONS
    assert next_step({"run_id": "run-1", "state": state}) == step


def test_every_waiting_state_can_be_approved() -> None:
    assert tuple(APPROVAL) == WAITING
