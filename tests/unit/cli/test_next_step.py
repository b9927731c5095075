"""What a person can do about a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.next_step import APPROVAL, next_step, options_given
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


def test_given_options_are_those_of_the_next_command() -> None:
    assert options_given(None) == ""
    assert options_given(Path("my home"), "http://a:1") == " --home 'my home' --retraining-url http://a:1"
    assert next_step({"run_id": "run-1", "state": "suggested"}, " --home a").startswith(
        "`homeostat approve run-1 --home a`"
    )
