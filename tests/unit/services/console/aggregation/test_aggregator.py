"""Snapshots: complete where services respond, marked where they do not, and in bounded time."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from services.console.aggregation import poller as asking
from services.console.aggregation.console_snapshot import Stale
from tests.fakes.loop_services import NOW, VERSIONS, FakeLoop, endpoints, full_loop
from tests.unit.services.console.harness import BASE, Console, render_page, run, take_snapshot

COMPONENTS = ["inference", "shipper", "kafka", "sink", "drift", "retraining"]


def conditions(snapshot: object) -> dict[str, str]:
    return {one.name: one.condition for one in snapshot.components}  # type: ignore[attr-defined]


def test_healthy_loop() -> None:
    snapshot = take_snapshot(full_loop())
    assert conditions(snapshot) == dict.fromkeys(COMPONENTS, "up")
    assert snapshot.stale == {}
    [model] = snapshot.models
    assert model.released is not None
    assert (model.released.generation, model.released.version) == (3, VERSIONS[2])
    [served] = model.servers
    assert (served.server, served.generation, served.agrees) == ("loop", 3, True)
    assert (model.baseline_loss, model.served_loss) == (0.57, 0.51)
    assert model.improvable == ("the former champion 0b has lost less",)
    assert [(one.policy, one.runs, one.regret) for one in model.policies] == [("armed", 3, 2.5)]
    assert "3 runs, regret 2.5" in render_page(snapshot)
    assert model.received.prediction == NOW - timedelta(seconds=4)
    assert model.received.lake_row == NOW - timedelta(seconds=8)
    assert model.received.outcome == NOW - timedelta(seconds=90)
    assert model.received.verdict == snapshot.verdicts[0].reached_at
    assert model.rollback_target == 2
    assert [verdict.state for verdict in snapshot.verdicts[:3]] == [
        "drift",
        "data_fault",
        "insufficient_data",
    ]


def test_installation_without_a_model() -> None:
    snapshot = take_snapshot(FakeLoop())
    assert conditions(snapshot) == dict.fromkeys(COMPONENTS, "up")
    assert (snapshot.models, snapshot.verdicts, snapshot.runs, snapshot.releases, snapshot.action_items) == (
        (),
    ) * 5


@pytest.mark.parametrize("service", ["inference", "shipper", "sink", "drift", "retraining"])
def test_unreachable_service_is_an_action_item(service: str) -> None:
    loop = full_loop()
    loop.unreachable = {service}
    snapshot = take_snapshot(loop)
    found = conditions(snapshot)
    assert [name for name in COMPONENTS if found[name] == "unreachable"] == [service]
    item = next(item for item in snapshot.action_items if item.kind == "component")
    assert (item.about, item.since) == (service, NOW)
    assert "Connection refused" in item.sentence
    assert item.hint


def test_start_of_a_problem_is_kept_until_it_ends() -> None:
    loop = full_loop()

    async def snapshots() -> list[object]:
        console = Console(loop)
        found: list[object] = []
        for away in (set(), {"drift"}, {"drift"}, set(), {"drift"}):
            console.clock.forward(10)
            loop.unreachable = away
            drift = (await console.aggregator.snapshot()).component("drift")
            assert drift is not None
            found.append(drift.since and (drift.since - NOW).total_seconds())
        return found

    assert run(snapshots) == [None, 20.0, 20.0, None, 50.0]


def test_last_data_of_an_unreachable_service_is_kept() -> None:
    loop = full_loop()

    async def snapshots() -> object:
        console = Console(loop)
        await console.aggregator.snapshot()
        loop.unreachable = {"drift", "retraining"}
        console.clock.forward(30)
        return await console.aggregator.snapshot()

    snapshot = run(snapshots)
    assert len(snapshot.verdicts) == 23
    assert snapshot.models[0].released.generation == 3
    assert snapshot.stale == dict.fromkeys(
        ("verdicts", "decisions", "runs", "releases"), Stale("connection refused", NOW)
    )


def test_slow_service_delays_a_snapshot_only_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "POLL_WAIT_S", 0.15)
    monkeypatch.setattr(asking, "FIRST_POLL_WAIT_S", 1.0)
    monkeypatch.setattr(asking, "MINIMUM_WAIT_S", 0.05)
    loop = full_loop()

    async def snapshots() -> tuple[float, object, int]:
        console = Console(loop)
        console.aggregator._ticks = time.monotonic
        hanging = asyncio.Event()
        fetch = console.aggregator._poller._get

        async def slow(request: asking.PollRequest[Any]) -> Any:
            if "/drift/" in request.path or request.base.endswith("/drift"):
                loop.asked.append("slow")
                await hanging.wait()
            return await fetch(request)

        console.aggregator._poller._get = slow  # type: ignore[method-assign]
        began = time.monotonic()
        first = await console.aggregator.snapshot()
        took = time.monotonic() - began
        console.clock.forward(2)
        console.aggregator.invalidate()
        await console.aggregator.snapshot()
        asked = loop.asked.count("slow")
        hanging.set()
        await console.aggregator._poller.close()
        return took, first, asked

    took, snapshot, asked = run(snapshots)
    assert took < 1.7  # what is asked about each model waits within the same time_factor, not once more
    assert conditions(snapshot)["drift"] == "unreachable"
    assert conditions(snapshot)["retraining"] == "up"
    assert (
        asked == 3
    )  # status, verdicts and those of the model, once each: what is under way is not asked again


def test_one_late_response_is_tolerated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "POLL_WAIT_S", 0.1)
    loop = full_loop()

    async def snapshots() -> list[str]:
        console = Console(loop)
        await console.aggregator.snapshot()
        fetch, hanging = console.aggregator._poller._get, asyncio.Event()

        async def slow(request: asking.PollRequest[Any]) -> Any:
            if request.base.endswith("/drift"):
                await hanging.wait()
            return await fetch(request)

        console.aggregator._poller._get = slow  # type: ignore[method-assign]
        found = []
        for seconds in (2, 10):
            console.clock.forward(seconds)
            found.append(conditions(await console.aggregator.snapshot())["drift"])
        await console.aggregator._poller.close()
        return found

    assert run(snapshots) == ["up", "unreachable"]


LIES = [
    b"",
    b"<html>",
    b"[]",
    b"null",
    b'"drift"',
    b"{}",
    b'{"models": 7, "verdicts": "none", "ready": "perhaps"}',
    b'{"models": [1, null, {"model": 5}, {"model": "flights", "error": ["x"]}], "verdicts": [3, {"verdict_id": 4}, null]}',
    b'{"verdicts": [{"verdict_id": "v", "scores": [{"value": 1e999, "threshold": "a"}, 5], "window_end": "soon", "rows": {}}]}',
    b"\xff\xfe\x00",
    b'{"decisions": [{"cause_key": "k", "acknowledged": 5, "decided_at": "9999-99-99"}], "runs": [{"run_id": "r", "gate": []}]}',
    b'{"releases": [{"generation": "x"}, {"generation": -4}, {"generation": 1, "version": null, "released_at": 12}]}',
    b"[" * 20_000,
]


@pytest.mark.parametrize("lie", LIES)
def test_invalid_response_does_not_break_the_page(lie: bytes) -> None:

    for path in (
        "/inference/status.json",
        "/inference/metrics",
        "/shipper/status",
        "/sink/metrics",
        "/drift/status",
        "/drift/verdicts",
        "/retraining/status",
        "/retraining/decisions",
        "/retraining/runs",
        "/retraining/models/flights/releases",
    ):
        loop = full_loop()
        loop.lies[path] = lie
        snapshot = take_snapshot(loop)
        assert render_page(snapshot)
        assert conditions(snapshot)["shipper" if path.startswith("/retraining") else "retraining"] in (
            "up",
            "unknown",
        )


def test_response_that_is_not_json_is_reported() -> None:
    loop = full_loop()
    loop.lies["/drift/status"] = b"<html>"
    drift = take_snapshot(loop).component("drift")
    assert drift is not None
    assert drift.condition == "unknown"
    assert drift.sentence.startswith("Returns something that is not JSON")


def test_invalid_list_is_reported_and_the_others_are_shown() -> None:
    loop = full_loop()
    loop.verdicts[3]["state"] = "perhaps"
    snapshot = take_snapshot(loop)
    assert snapshot.verdicts == ()
    assert set(snapshot.stale) == {"verdicts"}
    assert snapshot.stale["verdicts"].problem.startswith(
        "returns an invalid response: verdicts.3.state is 'perhaps'; expected one of ok, warming_up"
    )
    assert conditions(snapshot)["drift"] == "up"
    assert (len(snapshot.decisions), len(snapshot.releases)) == (2, 3)


def test_state_of_kafka_comes_from_its_clients() -> None:
    loop = full_loop()
    loop.kafka = False
    assert conditions(take_snapshot(loop))["kafka"] == "unreachable"
    loop.kafka = True
    loop.unreachable = {"shipper", "sink", "retraining"}
    snapshot = take_snapshot(loop)
    assert conditions(snapshot)["kafka"] == "unknown"
    assert "kafka" not in {item.about for item in snapshot.action_items}


def test_snapshot_is_kept_for_a_second() -> None:
    loop = full_loop()

    async def snapshots() -> list[int]:
        console = Console(loop)
        counts = []
        for seconds in (0.0, 0.5, 0.6):
            console.clock.forward(seconds)
            found = await asyncio.gather(*(console.aggregator.snapshot() for _ in range(5)))
            assert all(snapshot is found[0] for snapshot in found)
            counts.append(loop.asked.count("/drift/status"))
        console.aggregator.invalidate()
        await console.aggregator.snapshot()
        return [*counts, loop.asked.count("/drift/status")]

    assert run(snapshots) == [1, 1, 2, 3]


@pytest.mark.parametrize("set_by", [-3600.0, 3600.0])
def test_clock_change_does_not_freeze_the_snapshot(set_by: float) -> None:
    loop = full_loop()

    async def snapshots() -> list[object]:
        console = Console(loop)
        await console.aggregator.snapshot()
        loop.unreachable = {"inference", "shipper", "sink", "drift", "retraining"}
        console.clock.set_by(set_by)
        kept = conditions(await console.aggregator.snapshot())["drift"]
        console.clock.forward(2)
        snapshot = await console.aggregator.snapshot()
        return [kept, snapshot.at == console.clock(), conditions(snapshot)["drift"]]

    assert run(snapshots) == ["up", True, "unreachable"]


@pytest.mark.parametrize("set_by", [-3600.0, 3600.0])
def test_clock_change_does_not_affect_lateness(set_by: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "POLL_WAIT_S", 0.1)
    loop = full_loop()

    async def snapshots() -> list[str]:
        console = Console(loop)
        await console.aggregator.snapshot()
        hanging = asyncio.Event()
        fetch = console.aggregator._poller._get

        async def slow(request: asking.PollRequest[Any]) -> Any:
            if request.base.endswith("/drift"):
                await hanging.wait()
            return await fetch(request)

        console.aggregator._poller._get = slow  # type: ignore[method-assign]
        console.clock.set_by(set_by)
        found = []
        for seconds in (2, 10):
            console.clock.forward(seconds)
            found.append(conditions(await console.aggregator.snapshot())["drift"])
        await console.aggregator._poller.close()
        return found

    assert run(snapshots) == ["up", "unreachable"]


def test_large_response_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MAXIMUM_RESPONSE_BYTES", 100_000)
    loop = full_loop()
    assert take_snapshot(loop).stale == {}
    loop.lies["/drift/verdicts"] = b'{"verdicts": [], "more": "' + b"a" * 100_000 + b'"}'
    assert take_snapshot(loop).stale == {"verdicts": Stale("returns more than 0 MiB", None)}


def test_results_of_former_requests_are_dropped() -> None:
    loop = full_loop()

    async def snapshots() -> list[bool]:
        console = Console(loop)
        found = []
        for releases in (loop.releases, []):
            loop.releases = releases
            loop.served = loop.served if releases else {}
            console.clock.forward(2)
            await console.aggregator.snapshot()
            paths = {poll.path for poll in console.aggregator._poller._entries}
            found.append("/models/flights/releases" in paths)
        return found

    assert run(snapshots) == [True, False]


def test_monitoring_comes_last() -> None:
    loop = full_loop()
    loop.unreachable = {"retraining", "prometheus"}
    where = endpoints(BASE, prometheus=f"{BASE}/prometheus")
    needs = take_snapshot(loop, where=where).action_items
    assert [item.about for item in needs if item.kind == "component"] == ["retraining", "prometheus"]


def test_old_unacknowledged_decision_is_an_action_item() -> None:
    loop = full_loop()
    for number in range(150):
        loop.decision(f"{number:032x}")
    snapshot = take_snapshot(loop)
    assert "b" * 32 not in {decision.cause_key for decision in snapshot.decisions}
    assert [item.about for item in snapshot.action_items if item.kind == "decision"] == ["b" * 32]


def test_old_run_that_awaits_approval_is_found() -> None:
    loop = full_loop()
    for number in range(60):
        loop.run(f"run-{number}", "promoted", gate=True)
    snapshot = take_snapshot(loop)
    assert [run.run_id for run in snapshot.runs if run.awaits_approval] == ["run-new"]
    assert [item.about for item in snapshot.action_items if item.kind == "run"] == ["run-new"]


def test_each_server_is_compared_with_the_release_log() -> None:
    loop = full_loop()
    loop.unreachable = {"second"}
    where = endpoints(BASE)
    where = type(where)(**{**where.__dict__, "servers": (f"{BASE}/inference", "http://two/second")})
    snapshot = take_snapshot(loop, where=where)
    assert [one.name for one in snapshot.components[:2]] == ["inference loop", "inference two"]
    [model] = snapshot.models
    assert [(served.server, served.agrees) for served in model.servers] == [("loop", True), ("two", None)]


def test_server_behind_the_release_log_is_an_action_item() -> None:
    loop = full_loop()
    loop.served = {"generation": 2, "version": VERSIONS[1]}
    [item] = [item for item in take_snapshot(loop).action_items if item.kind == "model"]
    assert "loop serves generation 2" in item.sentence
    assert "the release log says generation 3" in item.sentence
    loop.releases[-1]["released_at"] = (NOW - timedelta(seconds=10)).isoformat()  # a swap takes moments
    assert [item for item in take_snapshot(loop).action_items if item.kind == "model"] == []


def test_action_items_are_ordered_by_urgency() -> None:
    loop = full_loop()
    loop.unreachable = {"sink"}
    needs = take_snapshot(loop).action_items
    assert [(item.kind, item.about) for item in needs] == [
        ("component", "sink"),
        ("run", "run-new"),
        ("decision", "b" * 32),
    ]
    loop.decisions[0]["acknowledged"] = {"actor": "ada", "note": "", "at": NOW.isoformat()}
    assert [item.kind for item in take_snapshot(loop).action_items] == ["component", "run"]


def test_all_unacknowledged_decisions_are_counted() -> None:
    loop = full_loop()
    for number in range(300):
        loop.decision(f"{number:032x}", state="drift" if number % 2 == 0 else "ok")
    [item] = [item for item in take_snapshot(loop).action_items if item.kind == "decision"]
    assert (item.count, item.about, item.issue) == (151, f"{298:032x}", "drift")
    assert item.title == "flights: 151 drift verdicts"


def test_losses_and_acknowledgements_are_optional() -> None:
    loop = full_loop()
    loop.losses = {}
    for decision in loop.decisions:
        del decision["needs_acknowledgement"], decision["acknowledged"]
    loop.lies["/retraining/status"] = (
        b'{"ready": true, "models": [{"model": "flights"}], "verdicts": "connected"}'
    )
    snapshot = take_snapshot(loop)
    assert (snapshot.models[0].baseline_loss, snapshot.models[0].served_loss) == (None, None)
    assert [item.kind for item in snapshot.action_items] == ["run"]
