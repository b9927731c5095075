"""A detector's state, its position and its alarm's verdict are stored together or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.drift.evaluation.classify import Measurements, Subject, classify
from services.drift.verdicts.error_states import ErrorState, ErrorStates
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.verdict import Verdict
from tests.unit.services.drift.world import minutes


@pytest.fixture
def states(tmp_path: Path) -> Iterator[ErrorStates]:
    store = VerdictStore(tmp_path / "verdicts.sqlite")
    yield ErrorStates(store)
    store.close()


def state(until: float, seed: int = 1) -> ErrorState:
    random = np.random.default_rng(seed)
    return ErrorState(minutes(until), {"sums": random.lognormal(0, 30, 3), "rows": np.array([2**40])})


def verdict() -> Verdict:
    subject = Subject("toy", "ab" * 32, 1, "stream", Span(minutes(0), minutes(60)))
    return classify(subject, Measurements(rows=0, outcomes=0, reference_rows=0), minutes(99))


def test_numbers_come_back_exactly(states: ErrorStates) -> None:
    assert states.get("toy", 1, 3) is None
    states.put("toy", 1, state(60))
    states.put("toy", 1, state(120, 2))
    found = states.get("toy", 1, 3)
    assert found is not None
    assert found.until == minutes(120)
    for name, array in state(120, 2).arrays.items():
        assert np.array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype
    assert states.get("toy", 2, 3) is None


def test_state_for_another_number_of_bets_keeps_its_position_only(states: ErrorStates) -> None:
    states.put("toy", 1, state(60))
    assert states.get("toy", 1, 4) == ErrorState(minutes(60), {})


def test_verdict_and_state_are_stored_together(states: ErrorStates, monkeypatch: pytest.MonkeyPatch) -> None:
    assert states.put("toy", 1, state(60), verdict())
    assert not states.put("toy", 1, state(120), verdict()), "one cause, one verdict"
    assert len(states.store.latest("toy", 9)) == 1

    def die(*_: object) -> bool:
        raise SystemExit("killed")

    monkeypatch.setattr(states.store, "insert", die)
    with pytest.raises(SystemExit):
        states.put("toy", 1, state(180), verdict())
    found = states.get("toy", 1, 3)
    assert found is not None
    assert found.until == minutes(120)
