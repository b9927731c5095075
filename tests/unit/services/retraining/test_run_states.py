"""The states of a run and the moves between them."""

from __future__ import annotations

from services.retraining.run_states import ENDS, MOVES, OPEN, WAITING, WORKING


def test_every_state_is_open_or_an_end() -> None:
    assert {*OPEN, *ENDS} == set(MOVES)
    assert not set(OPEN) & set(ENDS)
    assert not set(WORKING) & set(WAITING)


def test_ends_are_ends_and_every_open_state_leads_to_one() -> None:
    assert all(MOVES[state] == () for state in ENDS)
    for state in OPEN:
        reached, todo = set(), [state]
        while todo:
            here = todo.pop()
            if here not in reached:
                reached.add(here)
                todo.extend(MOVES[here])
        assert reached & set(ENDS), state


def test_nothing_is_promoted_but_through_the_gate() -> None:
    """Every way to `promoting` comes from `judging` or from a person who saw its result."""
    assert [state for state, moves in MOVES.items() if "promoting" in moves] == [
        "judging",
        "waiting_for_approval",
    ]
    assert [state for state, moves in MOVES.items() if "promoted" in moves] == ["promoting"]
