"""One cause, one decision, at most one run: whichever door a drift is told by, in whichever order, however often."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from services.retraining.bootstrap import build
from services.retraining.cause import Cause
from services.retraining.controller import Controller
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Recorded
from services.retraining.runs.pipeline import Pipeline
from services.retraining.settings import RetrainingSettings
from services.retraining.triggers.webhooks import read_triggers
from shared.contracts.verdict import Verdict, cause_key
from tests.fakes.retraining_world import MODEL, START, World, make_world
from tests.unit.services.retraining.triggers.test_webhooks import NOW, alert, alertmanager


class Room:
    """A deployed model and the controller; runs are written down and driven by nobody."""

    def __init__(self, world: World, *, listen: bool = True) -> None:
        self.world = world
        service = build(world.settings, RetrainingSettings(listen=False, mlflow=False))
        self.deps = replace(service.deps, settings=RetrainingSettings(listen=listen))
        self.controller = Controller(self.deps, Pipeline(self.deps, Event()), lambda: None)
        self.controller.deploy(MODEL, world.champion, str(world.project), "ann")

    @property
    def ledger(self) -> Ledger:
        return self.deps.ledger

    def kafka(self, told: Verdict) -> Recorded:
        return self.controller.handle_cause(Cause.of_verdict(told))

    def webhook(self, *alerts: dict[str, Any]) -> list[Recorded]:
        causes, _ = read_triggers(alertmanager(*alerts), NOW)
        return [self.controller.handle_cause(cause) for cause in causes]

    def codes(self) -> dict[str, str]:
        return {one["cause_key"]: one["reason_code"] for one in self.ledger.decisions()}


def about(told: Verdict | str, *, model: str = MODEL, **changes: Any) -> dict[str, Any]:
    labels = {"alertname": "HomeostatDrift", "model": model}
    notes = {"summary": "it drifted", "verdict_id": told if isinstance(told, str) else told.verdict_id}
    if not isinstance(told, str):
        notes |= {"version": told.version, "verdict_state": told.state}
    return alert(labels=labels, annotations=notes, **changes)


@pytest.fixture
def open_room(tmp_path: Path) -> Iterator[Callable[..., Room]]:
    rooms: list[Room] = []

    def open_one(*, listen: bool = True, **retraining: Any) -> Room:
        rooms.append(
            Room(make_world(tmp_path / f"w{len(rooms)}", days=2, retraining=retraining), listen=listen)
        )
        return rooms[-1]

    yield open_one
    for room in rooms:
        room.ledger.close()


@pytest.mark.parametrize("alert_first", [False, True])
def test_a_verdict_and_five_alerts_about_it_are_one_decision_and_one_run(
    open_room: Callable[..., Room], alert_first: bool
) -> None:
    room = open_room()
    told = room.world.verdict(2)
    if alert_first:
        [early] = room.webhook(about(told))
        assert (early.cause_key, early.decision.reason_code, early.run_id) == (
            told.verdict_id,
            "verdict_awaited",
            "",
        )
    decided = room.kafka(told)
    assert (decided.decision.action, decided.decision.reason_code, decided.new) == ("retrain", "drift", True)
    # Also by another alert, from another Alertmanager, of another firing.
    again = [*room.webhook(*(about(told, fingerprint=f"f{n}") for n in range(5))), room.kafka(told)]
    assert {(one.cause_key, one.run_id, one.new) for one in again} == {
        (told.verdict_id, decided.run_id, False)
    }
    assert room.codes() == {told.verdict_id: "drift"}
    assert [run.run_id for run in room.ledger.runs()] == [decided.run_id]


def test_alerts_do_not_pass_the_windows_a_drift_must_hold_for(open_room: Callable[..., Room]) -> None:
    """And a verdict that came after its alert counts among the windows in a row."""
    room = open_room(triggers=[{"when": "drift", "kinds": ["performance"], "windows": 2}])
    first, second = room.world.verdict(1), room.world.verdict(2)
    room.webhook(about(first))
    assert "drift in 1 of 2 windows" in room.kafka(first).decision.reason
    room.webhook(about(first), about(first, startsAt="2013-02-01T08:00:00Z"), about(second))
    assert room.codes() == {first.verdict_id: "healthy", second.verdict_id: "verdict_awaited"}
    assert room.ledger.runs() == []
    room.kafka(second)
    [run] = room.ledger.runs()
    assert (run.cause_key, run.change_since) == (second.verdict_id, first.window_start)


@pytest.mark.parametrize(
    ("policy", "reason_code"),
    [
        ({"cooldown": "9d"}, "cooling_down"),
        ({"cooldown": "1h", "budget": {"runs": 1, "per": "30d"}}, "budget_spent"),
    ],
)
@pytest.mark.parametrize("alert_first", [False, True])
def test_alerts_do_not_pass_the_brakes(
    open_room: Callable[..., Room], policy: dict[str, Any], reason_code: str, alert_first: bool
) -> None:
    room = open_room(**policy)
    asked = Cause("person", MODEL, "request", "please", event_time=START + timedelta(days=1))
    room.ledger.transition(room.controller.handle_cause(asked).run_id, "snapshotting", NOW)
    room.ledger.transition("run-person", "training", NOW)
    room.ledger.transition("run-person", "failed", NOW)
    told = room.world.verdict(2)
    if alert_first:
        room.webhook(about(told))
    assert room.kafka(told).decision.reason_code == reason_code
    for _ in range(5):
        [late] = room.webhook(about(told))
        assert (late.decision.reason_code, late.run_id) == (reason_code, "")
    assert [run.run_id for run in room.ledger.runs()] == ["run-person"]


def test_one_delivery_may_speak_of_two_models(open_room: Callable[..., Room]) -> None:
    room = open_room()
    told = room.world.verdict(2)
    other = cause_key("other", "evaluation", told.version, told.window_end)
    room.kafka(told)
    mine, theirs = room.webhook(about(told), about(other, model="other"))
    assert (mine.cause_key, mine.new, theirs.cause_key, theirs.new) == (told.verdict_id, False, other, True)
    assert {run.model for run in room.ledger.runs()} == {MODEL}


def test_an_alert_that_names_a_verdict_of_another_model_joins_nothing_and_does_nothing(
    open_room: Callable[..., Room],
) -> None:
    room = open_room()
    theirs = room.world.verdict(2, model="other", verdict_id="b" * 32)
    room.kafka(theirs)
    [wrong] = room.webhook(about(theirs))
    assert (wrong.decision.action, wrong.decision.reason_code) == ("wait", "verdict_unclear")
    assert wrong.cause_key != theirs.verdict_id
    found = room.ledger.cause(theirs.verdict_id)
    assert found is not None
    kept = found["cause"]
    assert (kept["model"], kept["deliveries"]) == ("other", 1)
    assert room.ledger.runs() == []


@pytest.mark.parametrize("told", ["", "nothing", "A" * 32])
def test_an_alert_that_names_no_verdict_where_it_should_does_nothing(
    open_room: Callable[..., Room], told: str
) -> None:
    room = open_room()
    [done] = room.webhook(about(told))
    assert (done.decision.action, done.decision.reason_code, done.run_id) == ("wait", "verdict_unclear", "")


def test_an_all_clear_is_a_cause_of_its_own_and_leaves_the_drift_as_it_is(
    open_room: Callable[..., Room],
) -> None:
    room = open_room()
    told = room.world.verdict(2)
    [_, clear] = room.webhook(about(told), about(told, status="resolved"))
    assert (clear.decision.reason_code, clear.cause_key == told.verdict_id) == ("resolved", False)
    assert room.kafka(told).decision.action == "retrain"


def test_a_service_that_hears_no_verdicts_decides_about_the_alert_and_keeps_a_late_verdict(
    open_room: Callable[..., Room],
) -> None:
    room = open_room(listen=False)
    told = room.world.verdict(2)
    [done] = room.webhook(about(told))
    assert (done.decision.action, done.decision.reason_code, done.cause_key) == (
        "retrain",
        "alert",
        told.verdict_id,
    )
    late = room.kafka(told)
    assert (late.new, late.run_id) == (False, done.run_id)
    assert len(room.ledger.runs()) == 1
    found = room.ledger.cause(told.verdict_id)
    assert found is not None
    kept = found["cause"]
    assert (kept["state"], kept["verdict"]["verdict_id"]) == ("drift", told.verdict_id)


def test_a_service_that_hears_no_verdicts_does_not_answer_the_same_drift_twice(
    open_room: Callable[..., Room],
) -> None:
    """After a release drift still judges windows of the version before, each with an id of its own. Faults never retrain."""
    room = open_room(listen=False)
    before = room.world.verdict(2, version="c" * 64)
    fault = room.world.verdict(1, state="data_fault")
    assert [one.decision.reason_code for one in room.webhook(about(before), about(fault))] == [
        "version_replaced",
        "bad_data",
    ]
    assert room.ledger.runs() == []


def test_an_alert_that_waits_is_decided_about_once_verdicts_are_heard_no_more(
    open_room: Callable[..., Room],
) -> None:
    room = open_room()
    told = room.world.verdict(2)
    assert [one.decision.reason_code for one in room.webhook(about(told), about(told))] == [
        "verdict_awaited"
    ] * 2
    deaf = replace(room.deps, settings=RetrainingSettings(listen=False))
    room.controller = Controller(deaf, Pipeline(deaf, Event()), lambda: None)
    [done] = room.webhook(about(told))
    assert (done.decision.action, done.decision.reason_code, done.new) == ("retrain", "alert", True)


def test_bad_data_that_an_alert_announced_still_never_retrains(open_room: Callable[..., Room]) -> None:
    room = open_room()
    told = room.world.verdict(2, state="data_fault")
    room.webhook(about(told))
    assert room.kafka(told).decision.reason_code == "bad_data"
    assert room.ledger.faulty_windows(MODEL) == [(told.window_start, told.window_end)]
    assert room.ledger.runs() == []
