"""The quality of a canary or shadow: both versions on the same rows, one outcome, and a phase that ends by time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from shared.stores.lake import Lake
from tests.fakes.phase_installation import BEGAN_AT, PER_HOUR, Phased, phased
from tests.fakes.retraining_installation import MODEL, fill_lake

CANARY = {"canary": {"share": 0.1, "duration": "56h"}}
SHADOW = {"shadow": "56h"}
BOTH = {**SHADOW, **CANARY}


@pytest.fixture
def open_phased(tmp_path: Path) -> Iterator[Callable[..., Phased]]:
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(phased(tmp_path, **{"rollout": CANARY, **how}))


@pytest.mark.parametrize(("rollout", "slot"), [(CANARY, "canary"), (SHADOW, "shadow")])
def test_a_worse_challenger_is_refused(
    open_phased: Callable[..., Phased], rollout: dict[str, object], slot: str
) -> None:
    one = open_phased(slope=-2.0, rollout=rollout)
    one.look()
    one.judge(0)
    # Rows of a canary were answered by the challenger, those beside a shadow by the live version.
    one.answer(60, -2.0 if slot == "canary" else 2.001, generation=2 if slot == "canary" else 1)
    found = one.judge(10)
    assert found is not None
    assert (found.outcome, [block.rows for block in found.blocks]) == (
        "",
        [47 if slot == "canary" else 48, 48, 48, 48],
    )
    assert found.losses is not None
    assert found.losses[0] > 2 * found.losses[1] > 0
    one.judge(40)
    assert (one.run.state, one.run.reason_code) == ("refused", "worse")
    assert "evidence that it is worse" in one.run.reason
    assert one.log()[1:] == [(2, slot, "loop"), (3, "withdrawal", "loop")]
    assert one.metrics.phases.labels(MODEL, slot, "worse")._value.get() == 1
    assert one.judge(41) is None


def test_rows_that_come_during_a_look_end_no_phase(
    open_phased: Callable[..., Phased], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were not measured: the challenger passed for what the first rows showed."""
    one = open_phased(slope=-2.0)
    one.look()
    one.judge(0)
    one.answer(60, -2.0, generation=2)
    moments = iter([BEGAN_AT + timedelta(hours=12), BEGAN_AT + timedelta(hours=60)])
    latest = Lake.latest_event_time
    monkeypatch.setattr(Lake, "latest_event_time", lambda *_: next(moments))
    one.judge(60)
    assert one.run.state == "canarying"
    monkeypatch.setattr(Lake, "latest_event_time", latest)
    one.judge(60)
    assert (one.run.state, one.run.reason_code) == ("refused", "worse")


def test_a_good_challenger_passes_both_phases_and_is_to_be_promoted(
    open_phased: Callable[..., Phased],
) -> None:
    one = open_phased(rollout=BOTH)
    one.look()
    one.judge(0)
    one.answer(57, 2.001, generation=1)
    one.judge(55)
    assert one.ledger.phases.find(one.run_id, "canary") is None
    one.judge(57)
    assert one.log()[1:] == [(2, "shadow", "loop"), (3, "withdrawal", "loop")]
    one.look()
    one.servers[0].answer(one.challenger, "canary", 40)
    one.look()
    one.judge(57)
    one.answer(57 + 57, 2.0, generation=4)
    one.judge(57 + 58)
    assert one.run.state == "promoting"
    # The promotion ends the canary, and its keys keep their version meanwhile.
    assert one.log()[3:] == [(4, "canary", "loop")]
    assert one.woken == 2
    assert "as a shadow for 56h it got no requests" in one.run.reason
    assert "as a canary for 56h it answered 40 requests; log_loss 0." in one.run.reason
    assert [phase.outcome for phase in one.ledger.phases.of_run(one.run_id)] == ["passed", "passed"]


def test_without_outcomes_a_phase_ends_by_time_and_says_why(open_phased: Callable[..., Phased]) -> None:
    one = open_phased(slope=-2.0)
    one.look()
    one.judge(0)
    one.answer(57, -2.0, generation=2, outcomes_of=0.0)
    one.judge(57)
    assert one.run.state == "promoting"
    assert "fewer than 30 of its rows had outcomes that were due: its loss was not compared" in one.run.reason


def test_outcomes_of_the_live_version_only_say_nothing_about_the_canary(
    open_phased: Callable[..., Phased],
) -> None:
    one = open_phased(slope=-2.0)
    one.look()
    one.judge(0)
    one.answer(57, 2.001, generation=1)
    found = one.judge(57)
    assert found is not None
    assert (found.blocks, found.outcome) == ((), "passed")


def test_a_row_dated_ahead_does_not_make_the_phase_begin_later(open_phased: Callable[..., Phased]) -> None:
    one = open_phased(slope=-2.0)
    one.look()
    fill_lake(one.installation.lake, BEGAN_AT + timedelta(hours=20), 1 / 24, PER_HOUR, 12)
    found = one.judge(0)
    assert found is not None
    assert (found.rows_from, found.rows_until) == (BEGAN_AT, BEGAN_AT + timedelta(hours=56))
    one.answer(60, -2.0, generation=2)
    one.judge(40)
    assert (one.run.state, one.run.reason_code) == ("refused", "worse")


def test_without_any_row_the_clock_ends_the_phase(open_phased: Callable[..., Phased]) -> None:
    one = open_phased()
    one.look()
    waiting = one.judge(56 + 23)
    assert waiting is not None
    assert waiting.outcome == ""
    one.judge(56 + 25)
    assert one.run.state == "promoting"


def test_a_clock_set_back_ends_nothing_early_and_loses_nothing(open_phased: Callable[..., Phased]) -> None:
    one = open_phased(slope=-2.0)
    one.look()
    one.judge(0)
    one.answer(60, -2.0, generation=2)
    one.judge(10)
    found = one.judge(-100)
    assert found is not None
    assert (found.outcome, len(found.blocks)) == ("", 4)
    one.judge(40)
    assert (one.run.state, one.run.reason_code) == ("refused", "worse")


def test_rows_of_a_share_that_a_person_changed_count(open_phased: Callable[..., Phased]) -> None:
    one = open_phased(slope=-2.0)
    one.look()
    one.judge(0)
    one.releaser.start(MODEL, "canary", version=one.challenger, share=0.3, actor="bob")
    one.answer(60, -2.0, generation=3)
    one.judge(40)
    assert (one.run.state, one.run.reason_code) == ("refused", "worse")
    assert one.log()[3:] == [(4, "withdrawal", "loop")]


def test_versions_that_cannot_be_compared_pass_and_say_so(
    open_phased: Callable[..., Phased], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = open_phased(slope=-2.0)
    one.look()
    one.judge(0)
    one.answer(57, -2.0, generation=2)
    folder = one.installation.home / "models" / MODEL / "versions" / one.live
    (folder / "model.onnx").write_bytes(b"not a model")
    one.judge(57)
    assert one.run.state == "promoting"
    assert "cannot be compared" in one.run.reason


def test_one_decision_where_guard_and_quality_disagree(open_phased: Callable[..., Phased]) -> None:
    one = open_phased()
    one.look()
    one.judge(0)
    one.answer(57, 2.0, generation=2)
    stale = one.run, one.ledger.phases.find(one.run_id, "canary")
    for _ in range(5):
        one.servers[0].fail(one.challenger, "canary", "failed", 5)
        one.servers[0].answer(one.live, "live", 50)
        one.look()
    assert one.run.state == "refused"
    assert stale[1] is not None
    ended = one.quality._end.decide(stale[0], stale[1], "passed", "its time is over")
    assert (ended.outcome, one.run.state) == ("operational", "refused")
    assert one.judge(57) is None
