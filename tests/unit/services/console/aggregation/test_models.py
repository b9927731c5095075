"""What is known about each model: current data, compared with a current release log."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from services.console.aggregation.console_snapshot import ConsoleSnapshot, Stale
from tests.fakes.loop_services import NOW, VERSIONS, FakeLoop, full_loop
from tests.unit.services.console.harness import Console, render_page, run, take_snapshot


def later(loop: FakeLoop, change: Any, seconds: float = 3600) -> ConsoleSnapshot:
    """The second of two snapshots, with a change between them."""

    async def snapshots() -> ConsoleSnapshot:
        console = Console(loop)
        await console.aggregator.snapshot()
        change(loop)
        console.clock.forward(seconds)
        return await console.aggregator.snapshot()

    found: ConsoleSnapshot = run(snapshots)
    return found


def released_meanwhile(loop: FakeLoop) -> None:
    loop.release(3)
    loop.unreachable = {"retraining"}


def log_lies(loop: FakeLoop) -> None:
    loop.release(3)
    loop.lies["/retraining/models/flights/releases"] = b"<html>"


def test_quiet_model_keeps_its_verdicts() -> None:
    loop = full_loop()
    for number in range(100, 200):
        loop.verdict(number)["model"] = "busy"
    snapshot = take_snapshot(loop)
    assert {verdict.model for verdict in snapshot.verdicts} == {"busy"}
    [model] = snapshot.models
    assert (len(model.recent), model.recent[0].state) == (23, "drift")
    assert model.received.verdict == model.recent[0].reached_at


@pytest.mark.parametrize("change", [released_meanwhile, log_lies])
def test_old_release_log_does_not_disagree_with_servers(change: Any) -> None:
    """Its newest entry is older than what is served: the server is not behind."""
    snapshot = later(full_loop(), change)
    [model] = snapshot.models
    [served] = model.servers
    assert (served.generation, served.agrees) == (4, None)
    assert model.released is not None
    assert model.released.generation == 3
    assert [item for item in snapshot.action_items if item.kind == "model"] == []


def test_old_release_log_does_not_agree_with_servers() -> None:
    def retraining_leaves(loop: FakeLoop) -> None:
        loop.unreachable = {"retraining"}

    [served] = later(full_loop(), retraining_leaves).models[0].servers
    assert served.agrees is None


def test_server_ahead_of_the_release_log_is_no_action_item() -> None:
    loop = full_loop()
    loop.served = {"generation": 4, "version": VERSIONS[3]}
    snapshot = take_snapshot(loop)
    assert snapshot.models[0].servers[0].agrees is None
    assert [item for item in snapshot.action_items if item.kind == "model"] == []


def test_release_time_in_the_future_is_no_swap() -> None:
    loop = full_loop()
    loop.served = {"generation": 2, "version": VERSIONS[1]}
    loop.releases[-1]["released_at"] = (NOW + timedelta(hours=5)).isoformat()
    assert [item.about for item in take_snapshot(loop).action_items if item.kind == "model"] == ["flights"]


def test_old_data_is_listed_with_its_time() -> None:
    def some_leave(loop: FakeLoop) -> None:
        loop.unreachable = {"drift", "retraining"}

    assert take_snapshot(full_loop()).models[0].stale == {}
    [model] = later(full_loop(), some_leave).models
    assert model.stale == dict.fromkeys(
        ("releases", "received", "verdicts", "losses"), Stale("connection refused", NOW)
    )
    assert (len(model.recent), model.served_loss) == (23, 0.51)


def test_last_alarm_of_the_stream_is_shown_beside_the_windows() -> None:
    loop = full_loop()
    [model] = take_snapshot(loop).models
    assert model.alarm is None
    at = NOW.isoformat()
    alarm = {"state": "data_fault", "window_start": at, "window_end": at, "top_drifted_features": ["dest"]}
    monitored = {
        "model": "flights",
        "inputs": {"state": "ok"},
        "stream": {"last_verdict": alarm | {"rows": 5}},
    }
    loop.lies["/drift/status"] = json.dumps({"models": [monitored]}).encode()
    snapshot = take_snapshot(loop)
    [model] = snapshot.models
    assert model.alarm is not None
    assert (model.alarm.state, model.alarm.window_end, model.inputs.state) == ("data_fault", NOW, "ok")
    shown = render_page(snapshot).partition("last alarm")[2].partition("</dl>")[0]
    assert "data_fault" in shown.replace(" ", "_")
    assert "dest" in shown


@pytest.mark.parametrize(
    ("state", "acts"), [("watching", 0), ("kept", 0), ("rolled_back", 0), ("worse", 1), ("failed", 1)]
)
def test_watch_of_a_release_is_shown_and_needs_a_person_only_if_the_worse_version_stays(
    state: str, acts: int
) -> None:
    loop = full_loop()
    loop.losses["watch"] = {
        "state": state,
        "generation": 3,
        "rows": 912,
        "reason": "" if state == "watching" else "log_loss 0.6, before 0.5",
    }
    snapshot = take_snapshot(loop)
    items = [item for item in snapshot.action_items if item.key == "watch-flights-3"]
    assert len(items) == acts
    shown = render_page(snapshot).partition("Watch of generation 3")[2].partition("</div>")[0]
    assert state in shown.replace(" ", "_")
    assert ("912" if state == "watching" else "log_loss 0.6, before 0.5") in shown
