"""What is read from the metrics that inference really exposes."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.retraining.phases.slot_counters import read_counters
from tests.fakes.phase_installation import Phased, phased
from tests.fakes.retraining_installation import MODEL


def read(one: Phased, slot: str = "canary", version: str = "") -> dict[str, float]:
    text = one.servers[0].scrape().text
    found = read_counters(text, model=MODEL, slot=slot, version=version or one.challenger, live=one.live)
    return {name: value for name, value in found.counters.items() if value and ".within." not in name}


@pytest.fixture
def one(tmp_path: Path) -> Phased:
    with phased(tmp_path, rollout={"canary": {"share": 0.1, "duration": "1h"}}) as made:
        return made


def test_requests_of_both_slots_by_result(one: Phased) -> None:
    server = one.servers[0]
    server.answer(one.challenger, "canary", 3)
    server.fail(one.challenger, "canary", "non_finite", 2)
    server.answer(one.live, "live", 9)
    server.fail(one.live, "live", "failed", 4)
    assert read(one) == {
        "side.answered": 3,
        "side.non_finite": 2,
        "live.answered": 9,
        "live.failed": 4,
    }
    # Another version, another slot, another model: nothing of these.
    assert read(one, version="f" * 64) == {"live.answered": 9, "live.failed": 4}
    server.answer(one.challenger, "shadow", 7)
    assert read(one, "shadow") == {"side.answered": 7, "live.answered": 9, "live.failed": 4}
    other = read_counters(server.scrape().text, model="other", slot="canary", version="v", live="w")
    assert other.counters == {}


def test_durations_are_cumulative_by_bound(one: Phased) -> None:
    one.servers[0].answer(one.challenger, "canary", 3, 0.02)
    one.servers[0].answer(one.live, "live", 5, 0.003)
    text = one.servers[0].scrape().text
    found = read_counters(text, model=MODEL, slot="canary", version=one.challenger, live=one.live).counters
    assert [found[f"side.within.{bound}"] for bound in ("0.01", "0.025", "+Inf")] == [0, 3, 3]
    assert [found[f"live.within.{bound}"] for bound in ("0.0025", "0.005", "+Inf")] == [0, 5, 5]


def test_whether_it_is_served_and_could_be_loaded(one: Phased) -> None:
    def state() -> tuple[bool, bool]:
        text = one.servers[0].scrape().text
        found = read_counters(text, model=MODEL, slot="canary", version=one.challenger, live=one.live)
        return found.serves, found.load_failed

    assert state() == (False, False)
    one.servers[0].slots.loads(MODEL, "canary", failed=True)
    assert state() == (False, True)
    one.servers[0].slots.loads(MODEL, "canary", failed=False)
    one.look()
    assert state() == (True, False)
