"""What is known about each model: of its own, of now, and held against a release log of now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.console.aggregation.snapshot import Snapshot
from tests.fakes.loop_services import NOW, VERSIONS, FakeLoop, full_loop
from tests.unit.services.console.harness import Console, run, take_snapshot


def later(loop: FakeLoop, change: Any, seconds: float = 3600) -> Snapshot:
    """The second of two looks, with a change between them."""

    async def looks() -> Snapshot:
        console = Console(loop)
        await console.aggregator.snapshot()
        change(loop)
        console.clock.forward(seconds)
        return await console.aggregator.snapshot()

    found: Snapshot = run(looks)
    return found


def released_meanwhile(loop: FakeLoop) -> None:
    loop.release(3)
    loop.away = {"retraining"}


def log_lies(loop: FakeLoop) -> None:
    loop.release(3)
    loop.lies["/retraining/models/flights/releases"] = b"<html>"


def test_a_quiet_model_keeps_its_verdicts_beside_a_busy_one() -> None:
    loop = full_loop()
    for number in range(100, 200):
        loop.verdict(number)["model"] = "busy"
    snapshot = take_snapshot(loop)
    assert {verdict.model for verdict in snapshot.verdicts} == {"busy"}
    [model] = snapshot.models
    assert (len(model.recent), model.recent[0].state) == (23, "drift")
    assert model.received.verdict == model.recent[0].reached_at


@pytest.mark.parametrize("change", [released_meanwhile, log_lies])
def test_a_release_log_of_before_accuses_nobody(change: Any) -> None:
    """Its newest entry is an older one than is served: that says something of the log, and nothing of the server."""
    snapshot = later(full_loop(), change)
    [model] = snapshot.models
    [served] = model.servers
    assert (served.generation, served.agrees) == (4, None)
    assert model.released is not None
    assert model.released.generation == 3
    assert [item for item in snapshot.action_items if item.kind == "model"] == []


def test_a_release_log_of_before_vouches_for_nobody_either() -> None:
    def retraining_leaves(loop: FakeLoop) -> None:
        loop.away = {"retraining"}

    [served] = later(full_loop(), retraining_leaves).models[0].servers
    assert served.agrees is None


def test_a_server_ahead_of_the_log_was_asked_after_it() -> None:
    loop = full_loop()
    loop.served = {"generation": 4, "version": VERSIONS[3]}
    snapshot = take_snapshot(loop)
    assert snapshot.models[0].servers[0].agrees is None
    assert [item for item in snapshot.action_items if item.kind == "model"] == []


def test_a_release_of_a_clock_set_back_is_no_swap_for_ever() -> None:
    loop = full_loop()
    loop.served = {"generation": 2, "version": VERSIONS[1]}
    loop.releases[-1]["released_at"] = (NOW + timedelta(hours=5)).isoformat()
    assert [item.about for item in take_snapshot(loop).action_items if item.kind == "model"] == ["flights"]


def test_what_is_not_of_now_is_named_with_its_moment() -> None:
    def some_leave(loop: FakeLoop) -> None:
        loop.away = {"drift", "retraining"}

    assert take_snapshot(full_loop()).models[0].stale == {}
    [model] = later(full_loop(), some_leave).models
    assert model.stale == dict.fromkeys(("releases", "received", "verdicts", "losses"), NOW)
    assert (len(model.recent), model.served_loss) == (23, 0.51)
