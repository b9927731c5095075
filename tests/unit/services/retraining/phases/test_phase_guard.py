"""The guard of a canary or shadow: started once, refused soon if it works worse, and one decision whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.inference.rollout.metrics import Result
from services.retraining.ledger.phases import PhaseSlot
from services.retraining.ledger_gauges import update_gauges
from services.retraining.phases.phase_end import PhaseEnd
from services.retraining.phases.phase_guard import PhaseGuard
from services.retraining.rollout.releaser import Releaser
from services.retraining.watch.blocks import Block
from services.retraining.watch.operational_guard import Guard
from shared.contracts.release import Release
from shared.errors import DependencyUnavailable
from shared.grafana.annotator import NoAnnotator
from tests.fakes.phase_installation import Phased, phased
from tests.fakes.retraining_installation import MODEL

CANARY = {"canary": {"share": 0.1, "duration": "56h"}}
SHADOW = {"shadow": "56h"}


@pytest.fixture
def open_phased(tmp_path: Path) -> Iterator[Callable[..., Phased]]:
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(phased(tmp_path, **{"rollout": CANARY, **how}))


def second(one: Phased, chance: np.random.Generator, *, bad: float = 0.0, result: Result = "failed") -> None:
    """A second at 50 requests per second, of which a tenth goes to the canary; `bad`: share of these that it fails."""
    canaries = int(chance.binomial(50, 0.1))
    failed = int(chance.binomial(canaries, bad))
    server = one.servers[0]
    server.answer(one.challenger, "canary", canaries - failed)
    server.fail(one.challenger, "canary", result, failed)
    server.answer(one.live, "live", 50 - canaries + failed)


def test_a_canary_is_started_once_and_goes_on(open_phased: Callable[..., Phased]) -> None:
    one = open_phased()
    for _ in range(3):
        one.look()
        one.restart()
    assert one.log() == [(1, "deployment", "ann"), (2, "canary", "loop")]
    entry = one.installation.store.releases(MODEL)[-1]
    assert (entry.version, entry.share, entry.run_id) == (one.challenger, 0.1, one.run_id)
    assert (one.run.state, one.verified) == ("canarying", 1)


@pytest.mark.parametrize("result", ["failed", "non_finite", "refused", "queued"])
def test_a_canary_that_fails_is_refused_within_ten_seconds(
    open_phased: Callable[..., Phased], result: Result
) -> None:
    one, chance = open_phased(), np.random.default_rng(1)
    one.look()
    seconds = 0
    while one.run.state == "canarying" and seconds < 11:
        seconds += 1
        second(one, chance, bad=1.0 if result == "non_finite" else 0.5, result=result)
        one.look()
    assert seconds <= (4 if result == "non_finite" else 8)
    assert (one.run.state, one.run.reason_code) == ("refused", "operational")
    assert f"({result} " in one.run.reason
    assert one.log()[2:] == [(3, "withdrawal", "loop")]
    assert one.served() == {"live": one.live}
    assert one.metrics.phases.labels(MODEL, "canary", "operational")._value.get() == 1
    one.look()
    assert len(one.log()) == 3


def test_a_slow_canary_is_refused_within_ten_seconds(open_phased: Callable[..., Phased]) -> None:
    one, chance = open_phased(), np.random.default_rng(1)
    one.look()
    seconds = 0
    while one.run.state == "canarying" and seconds < 11:
        seconds += 1
        canaries = int(chance.binomial(50, 0.1))
        one.servers[0].answer(one.challenger, "canary", canaries, 0.06)
        one.servers[0].answer(one.live, "live", 50 - canaries, 0.004)
        one.look()
    assert seconds <= 6
    assert (one.run.state, one.run.reason_code) == ("refused", "operational")
    assert "answers of the canary took longer than 0.0" in one.run.reason


def test_a_canary_that_needs_twice_as_long_stays_within_its_ratio(open_phased: Callable[..., Phased]) -> None:
    one, chance = open_phased(), np.random.default_rng(1)
    one.look()
    for _ in range(30):
        for version, slot, count, scale in (
            (one.challenger, "canary", 5, 0.016),
            (one.live, "live", 45, 0.008),
        ):
            for took in chance.exponential(scale, count):
                one.servers[0].answer(version, slot, 1, took)  # type: ignore[arg-type]
        one.look()
    assert one.run.state == "canarying"


def test_failures_that_hit_both_refuse_nothing(open_phased: Callable[..., Phased]) -> None:
    one, chance = open_phased(), np.random.default_rng(2)
    one.look()
    server = one.servers[0]
    for _ in range(60):
        burst = 0.5 if chance.random() < 0.3 else 0.0
        canaries = int(chance.binomial(50, 0.1))
        failed, live_failed = (
            int(chance.binomial(canaries, burst)),
            int(chance.binomial(50 - canaries, burst)),
        )
        server.answer(one.challenger, "canary", canaries - failed)
        server.fail(one.challenger, "canary", "queued", failed)
        server.answer(one.live, "live", 50 - canaries - live_failed + failed)
        server.fail(one.live, "live", "failed", live_failed)
        one.look()
    assert one.run.state == "canarying"


def test_earlier_counts_and_a_restarted_server_prove_nothing(open_phased: Callable[..., Phased]) -> None:
    one, chance = open_phased(), np.random.default_rng(3)
    one.servers[0].fail(one.challenger, "canary", "failed", 500)  # of a canary before the run
    one.look()
    for _ in range(5):
        second(one, chance)
        one.look()
    one.servers[0].restart()
    one.look()
    phase = one.ledger.phases.find(one.run_id, "canary")
    assert phase is not None
    assert phase.guard.count("side", "failed") == 0
    assert one.run.state == "canarying"


def test_a_shadow_that_fails_is_refused(open_phased: Callable[..., Phased]) -> None:
    one = open_phased(rollout=SHADOW)
    one.look()
    assert one.log()[-1] == (2, "shadow", "loop")
    for _ in range(4):
        one.servers[0].answer(one.live, "live", 50)
        one.servers[0].fail(one.challenger, "shadow", "non_finite", 5)
        one.servers[0].fail(one.challenger, "shadow", "dropped", 45)
        one.look()
    assert (one.run.state, one.run.reason_code) == ("refused", "operational")
    assert "10 of 10 requests of the shadow had no answer (non_finite 10)" in one.run.reason
    assert one.log()[-1] == (3, "withdrawal", "loop")


def test_the_slow_first_calls_of_a_canary_refuse_nothing(open_phased: Callable[..., Phased]) -> None:
    one, chance = open_phased(), np.random.default_rng(1)
    one.look()
    one.servers[0].answer(one.challenger, "canary", 10, 0.5)
    one.servers[0].answer(one.live, "live", 90, 0.004)
    one.look()
    for _ in range(10):
        second(one, chance)
        one.look()
    assert one.run.state == "canarying"


def test_a_person_who_ends_the_canary_rejects_the_run(open_phased: Callable[..., Phased]) -> None:
    one = open_phased()
    one.look()
    one.releaser.withdraw(MODEL, "canary", actor="bob", note="complaints")
    one.look()
    assert (one.run.state, one.run.reason_code) == ("rejected", "withdrawn")
    assert one.run.reason == "bob ended the canary by a withdrawal in generation 3: complaints"
    assert len(one.log()) == 3


def test_a_person_may_change_the_share(open_phased: Callable[..., Phased]) -> None:
    one, chance = open_phased(), np.random.default_rng(1)
    one.look()
    one.releaser.start(MODEL, "canary", version=one.challenger, share=0.3, actor="bob")
    one.look()
    assert (one.run.state, len(one.log())) == ("canarying", 3)
    for _ in range(5):
        second(one, chance, bad=1.0)
        one.look()
    assert one.run.state == "refused"
    assert one.log()[-1] == (4, "withdrawal", "loop")


def test_another_live_version_ends_the_run(open_phased: Callable[..., Phased]) -> None:
    one = open_phased()
    one.look()
    one.releaser.deploy(MODEL, one.installation.champion, "bob")
    one.look()
    assert (one.run.state, one.run.reason_code) == ("refused", "champion_changed")
    assert len(one.log()) == 3


@pytest.mark.parametrize(
    ("how", "seconds"), [("down", 60), ("only one down", 60), ("load failed", 60), ("not loaded", 300)]
)
def test_a_challenger_that_cannot_be_guarded_is_refused_after_a_time(
    open_phased: Callable[..., Phased], how: str, seconds: int
) -> None:
    """To load and try a version may take inference more than two minutes, so that is no failure yet."""
    one = open_phased(servers=2)
    one.look()
    one.look()
    if how == "down":
        for server in one.servers:
            server.down = "inference cannot be reached"
    elif how == "only one down":  # the one that serves the challenger
        one.servers[0].loads = False
        one.servers[1].down = "http://inference-1:8000 cannot be reached"
    elif how == "load failed":
        one.servers[1].slots.loads(MODEL, "canary", failed=True)
    else:
        for server in one.servers:
            server.loads = False
    one.look()
    one.look(seconds - 2)
    assert one.run.state == "canarying"
    one.look(2)
    assert (one.run.state, one.run.reason_code) == ("refused", "operational")
    texts = {"load failed": "cannot load it", "not loaded": "no server has it"}
    assert f"could not be guarded for {seconds} s: " in one.run.reason
    assert texts.get(how, "cannot be reached") in one.run.reason


@pytest.mark.parametrize("looks_before", [0, 2])
def test_a_server_that_is_away_is_no_reason_while_another_serves(
    open_phased: Callable[..., Phased], looks_before: int
) -> None:
    """The other one is compared as before."""
    one, chance = open_phased(servers=2), np.random.default_rng(1)
    for _ in range(looks_before):
        one.look()
    one.servers[1].down = "http://inference-1:8000 cannot be reached"
    for _ in range(3):
        one.look(60)
    assert one.run.state == "canarying"
    for _ in range(5):
        second(one, chance, bad=1.0)
        one.look()
    assert (one.run.state, one.run.reason_code) == ("refused", "operational")
    assert "requests of the canary had no answer" in one.run.reason


def test_the_canary_that_a_person_puts_in_its_place_goes_on(open_phased: Callable[..., Phased]) -> None:
    one = open_phased()
    one.look()
    one.releaser.start(MODEL, "canary", version=one.installation.champion, share=0.2, actor="bob")
    one.look()
    assert (one.run.state, one.run.reason_code) == ("rejected", "withdrawn")
    assert one.served() == {"live": one.live, "canary": one.installation.champion}


@pytest.mark.parametrize(
    ("slot", "whose"), [("canary", "another"), ("shadow", "another"), ("canary", "its own")]
)
def test_phase_neither_replaces_nor_ends_what_a_person_runs(
    open_phased: Callable[..., Phased], slot: PhaseSlot, whose: str
) -> None:
    one = open_phased(rollout=CANARY if slot == "canary" else SHADOW)
    version = one.installation.champion if whose == "another" else one.challenger
    one.releaser.start(MODEL, slot, version=version, share=0.2, actor="bob")
    for _ in range(2):
        one.look()
        one.restart()
    assert (one.run.state, one.run.reason_code) == ("refused", "slot_taken")
    assert f"bob serves {version[:12]} as {slot} since generation 2" in one.run.reason
    assert one.served() == {"live": one.live, slot: version}
    assert len(one.log()) == 2


def test_a_slot_is_not_started_without_the_approval_that_it_needs(
    open_phased: Callable[..., Phased],
) -> None:
    one = open_phased(automation="approve")
    one.look()
    assert (one.run.state, one.run.reason_code) == ("refused", "operational")
    assert "has no approval of its gate result" in one.run.reason
    assert one.log() == [(1, "deployment", "ann")]


def test_of_two_processes_that_have_read_the_same_phase_one_adds_to_it(
    open_phased: Callable[..., Phased],
) -> None:
    one = open_phased()
    read, phases = one.look(), one.ledger.phases
    assert read is not None
    first, second_guard = (Guard(seen={"s": {"side.answered": count}}) for count in (1.0, 2.0))
    assert phases.add_guard(read, first).guard == first
    assert phases.add_guard(read, second_guard).guard == first
    day = timedelta(days=1)
    block, other = (Block(one.now, one.now + day, 30, loss, 0.5) for loss in (0.1, 0.2))
    assert phases.add_blocks(read, [block]).blocks == (block,)
    assert phases.add_blocks(read, [other]).blocks == (block,)
    assert phases.set_rows(read, one.now, one.now + day).rows_from == one.now
    assert phases.set_rows(read, one.now + day, one.now + 2 * day).rows_from == one.now


def test_a_server_that_comes_back_in_time_changes_nothing(open_phased: Callable[..., Phased]) -> None:
    one = open_phased()
    one.look()
    for _ in range(4):
        one.servers[0].down = "restarting"
        one.look(40)
        one.servers[0].down = ""
        one.look(1)
    assert one.run.state == "canarying"


class DyingReleaser(Releaser):
    """Its process dies before or after an entry of the release log is written."""

    after = False

    def start(self, *args: Any, **how: Any) -> Release:
        if self.after:
            super().start(*args, **how)
        raise RuntimeError("killed")

    def withdraw(self, *args: Any, **how: Any) -> Release | None:
        if self.after:
            super().withdraw(*args, **how)
        raise RuntimeError("killed")


def dying_guard(one: Phased, after: bool) -> PhaseGuard:
    """The guard of a process that dies at its next entry of the release log."""
    releaser = DyingReleaser(one.installation.store, one.ledger, one.metrics, NoAnnotator(), lambda: one.now)
    releaser.after = after
    end = PhaseEnd(one.ledger, releaser, one.metrics, lambda: one.now, lambda: None)
    return PhaseGuard(
        one.ledger,
        one.installation.store,
        releaser,
        end,
        lambda: [server.scrape() for server in one.servers],
        lambda: one.now,
        verify=lambda *_: None,
    )


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_at_the_start_or_the_end_decides_once(
    open_phased: Callable[..., Phased], after: bool
) -> None:
    one, chance = open_phased(), np.random.default_rng(1)
    with pytest.raises(RuntimeError, match="killed"):
        dying_guard(one, after).look(one.run_id)
    one.look()
    assert one.log() == [(1, "deployment", "ann"), (2, "canary", "loop")]
    dying = dying_guard(one, after)
    with pytest.raises(RuntimeError, match="killed"):
        fail_until_decided(one, dying, chance)
    assert one.run.state == "canarying"
    one.servers[0].answer(one.challenger, "canary", 1000)  # what comes later does not change the outcome
    one.look()
    assert (one.run.state, one.run.reason_code) == ("refused", "operational")
    assert one.log()[2:] == [(3, "withdrawal", "loop")]


def fail_until_decided(one: Phased, guard: PhaseGuard, chance: np.random.Generator) -> None:
    for _ in range(10):
        second(one, chance, bad=1.0)
        guard.look(one.run_id)


def test_two_services_start_and_end_a_canary_once(open_phased: Callable[..., Phased]) -> None:
    one, chance = open_phased(), np.random.default_rng(1)
    others = [dying_guard(one, False) for _ in range(2)]
    for other in others:
        other._releaser = other._end._releaser = one.releaser

    def all_look() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda guard: guard.look(one.run_id), others))

    all_look()
    assert one.log() == [(1, "deployment", "ann"), (2, "canary", "loop")]
    for _ in range(8):
        second(one, chance, bad=1.0)
        all_look()
    assert one.log()[2:] == [(3, "withdrawal", "loop")]
    assert one.metrics.runs.labels(MODEL, "refused")._value.get() >= 1
    assert one.run.state == "refused"


def test_the_release_log_away_delays_and_changes_nothing(
    open_phased: Callable[..., Phased], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = open_phased()
    one.look()
    with monkeypatch.context() as patched:

        def away(_: str) -> list[Release]:
            raise DependencyUnavailable("the model store does not respond")

        patched.setattr(one.installation.store, "releases", away)
        with pytest.raises(DependencyUnavailable):
            one.guard.look(one.run_id)
    one.look()
    assert one.run.state == "canarying"


def test_gauges_are_those_of_the_ledger(open_phased: Callable[..., Phased]) -> None:
    one, chance = open_phased(), np.random.default_rng(1)
    one.look()
    read = one.metrics.registry.get_sample_value
    update_gauges(one.metrics, one.ledger.metrics_snapshot(), one.now)
    running = {"model": MODEL, "slot": "canary"}
    assert read("homeostat_retraining_phase_running", running) == 1
    assert read("homeostat_retraining_last_refused_phase_timestamp_seconds", {"model": MODEL}) is None
    for _ in range(5):
        second(one, chance, bad=1.0)
        one.look()
    one.look()
    update_gauges(one.metrics, one.ledger.metrics_snapshot(), one.now)
    assert read("homeostat_retraining_phase_running", running) == 0
    found = read("homeostat_retraining_phase_evidence", {"model": MODEL, "kind": "operational"})
    assert (found or 0) >= 20
    ended = read("homeostat_retraining_last_refused_phase_timestamp_seconds", {"model": MODEL})
    assert ended == one.now.timestamp()
