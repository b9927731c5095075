"""The states of a run and the transitions between them."""

from __future__ import annotations

from services.retraining.run_states import ENDS, OPEN, PHASES, TRANSITIONS, WAITING, WORKING


def test_every_state_is_open_or_final() -> None:
    assert {*OPEN, *ENDS} == set(TRANSITIONS)
    assert not set(OPEN) & set(ENDS)
    assert not set(WORKING) & set(WAITING)


def test_every_open_state_leads_to_a_final_one() -> None:
    assert all(TRANSITIONS[state] == () for state in ENDS)
    for state in OPEN:
        reached, todo = set(), [state]
        while todo:
            here = todo.pop()
            if here not in reached:
                reached.add(here)
                todo.extend(TRANSITIONS[here])
        assert reached & set(ENDS), state


def test_promotion_requires_the_gate() -> None:
    """Every way to `promoting` comes from `evaluating` or from a person who saw its result, perhaps through phases."""
    gate = ["evaluating", "waiting_for_approval"]
    assert [state for state, moves in TRANSITIONS.items() if "promoting" in moves] == [*gate, *PHASES]
    assert [state for state, moves in TRANSITIONS.items() if "shadowing" in moves] == gate
    assert [state for state, moves in TRANSITIONS.items() if "canarying" in moves] == [*gate, "shadowing"]
    assert [state for state, moves in TRANSITIONS.items() if "promoted" in moves] == ["promoting"]
