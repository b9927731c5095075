"""Schedules fire although no verdict comes: once, whatever the number of services and restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from services.retraining.bootstrap import build
from services.retraining.cause import Cause
from services.retraining.controller import Controller
from services.retraining.dependencies import Dependencies
from services.retraining.ledger.records import Recorded
from services.retraining.runs.pipeline import Pipeline
from services.retraining.settings import RetrainingSettings
from services.retraining.shadow_policies import ShadowPolicies
from services.retraining.triggers.schedule_clock import ScheduleClock
from shared.errors import DependencyUnavailable
from shared.stores.lake import Lake
from tests.fakes.retraining_app import TestClient
from tests.fakes.retraining_installation import MODEL, START, Installation, make_installation
from tests.fakes.retraining_service import wait_for

SETTINGS = RetrainingSettings(listen=False, mlflow=False, schedule_grace_seconds=60)
# A schedule of 3 d waits for the window of 1 d that was open when it was due, and 2 h for its outcomes.
DUE = START + timedelta(days=4, hours=2)


class StoppedLake(Lake):
    """A lake whose newest row is at a time that the test chooses."""

    newest: datetime | None = DUE

    def watermark(self, model: str) -> datetime | None:
        return self.newest


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Services:
    """A deployed model, and any number of services on its ledger. The champion is trained until `START`."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.lake = StoppedLake(str(installation.home / "lake"))
        self.seconds = Seconds()
        self.built: list[Dependencies] = []
        self.handle = self.start()
        deps = self.built[0]
        Controller(deps, Pipeline(deps, Event()), lambda: None).deploy(
            MODEL, installation.champion, str(installation.project), "ann"
        )
        self.ledger = deps.ledger

    def start(self) -> Callable[[Cause], Recorded]:
        """Start another service; what decides there."""
        deps = replace(build(self.installation.settings, SETTINGS).deps, lake=self.lake)
        self.built.append(deps)
        return Controller(deps, Pipeline(deps, Event()), lambda: None).handle_cause

    def clock(self, **changes: Any) -> ScheduleClock:
        """A clock of the service started last, as it is after a start."""
        return ScheduleClock(replace(self.built[-1], **changes), self.handle, self.seconds)

    def waited(self, clock: ScheduleClock) -> Recorded | None:
        """The second look, after the time that a verdict gets."""
        assert clock.look(MODEL) is None
        self.seconds.now += 60
        return clock.look(MODEL)


@pytest.fixture
def open_services(tmp_path: Path) -> Iterator[Callable[..., Services]]:
    opened: list[Services] = []

    def open_one(automation: str = "auto", **retraining: Any) -> Services:
        policy = {"triggers": [{"when": "schedule", "every": "3d"}], **retraining}
        root = tmp_path / f"s{len(opened)}"
        opened.append(Services(make_installation(root, days=1, automation=automation, retraining=policy)))
        return opened[-1]

    yield open_one
    for one in opened:
        for deps in one.built:
            deps.ledger.close()


def test_schedule_fires_without_a_verdict(open_services: Callable[..., Services]) -> None:
    services = open_services()
    done = services.waited(services.clock())
    assert done is not None
    assert (done.decision.action, done.decision.reason_code) == ("retrain", "schedule")
    assert done.decision.reason == "4.1 d since the last training, schedule 3.0 d"
    [run] = services.ledger.runs()
    assert (run.source, run.cause_actor, run.event_time) == ("schedule", "clock", DUE)
    assert run.cause_reason == "the schedule was due at 2013-01-04 00:00 UTC, and no verdict has come since"


def test_shadow_policies_decide_after_an_interruption(
    open_services: Callable[..., Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger was away between the armed decision, after which nothing is due any more, and theirs."""
    services = open_services()
    outages = [DependencyUnavailable("the ledger does not respond")]

    def decide(shadows: ShadowPolicies, cause: Cause, *_: object) -> None:
        if outages:
            raise outages.pop()
        decided.append(cause)

    decided: list[Cause] = []
    monkeypatch.setattr(ShadowPolicies, "decide", decide)
    clock = services.clock()
    with pytest.raises(DependencyUnavailable):
        services.waited(clock)
    assert len(services.ledger.runs()) == 1
    assert decided == []
    done = clock.look(MODEL)
    assert done is not None
    assert not done.new
    assert [cause.key for cause in decided] == [done.cause_key]
    assert clock.look(MODEL) is None
    assert len(services.ledger.runs()) == len(services.ledger.decisions()) == 1


def test_time_of_schedules_is_event_time(open_services: Callable[..., Services]) -> None:
    """Without new rows none passes; and rows dated ahead of this machine's clock do not hasten it."""
    services = open_services()
    clock = services.clock()
    for newest in (None, DUE - timedelta(microseconds=1)):
        services.lake.newest = newest
        assert services.waited(clock) is None
    services.lake.newest = DUE
    assert services.waited(services.clock(clock=lambda: DUE - timedelta(seconds=1))) is None
    assert services.ledger.decisions() == []


def test_verdict_in_time_comes_before_the_clock(open_services: Callable[..., Services]) -> None:
    services = open_services()
    clock = services.clock()
    assert clock.look(MODEL) is None
    verdict = services.installation.verdict(4, state="ok")
    assert services.handle(Cause.of_verdict(verdict)).decision.reason_code == "schedule"
    services.seconds.now += 3600
    assert clock.look(MODEL) is None
    assert len(services.ledger.decisions()) == 1


def test_schedule_fires_although_it_is_due_again_at_every_look(
    open_services: Callable[..., Services],
) -> None:
    """As in a replay of the past, where an interval passes in seconds."""
    services = open_services()
    clock = services.clock()
    for day in range(3, 16, 3):
        services.lake.newest = DUE + timedelta(days=day)
        assert clock.look(MODEL) is None
        services.seconds.now += 12
    done = clock.look(MODEL)
    assert done is not None
    assert done.decision.action == "retrain"


def test_two_services_and_restarts_start_one_run(open_services: Callable[..., Services]) -> None:
    services = open_services()
    clocks = [services.clock()]
    services.handle = services.start()
    clocks.append(services.clock())
    for clock in clocks:
        assert clock.look(MODEL) is None
    services.seconds.now += 60
    threads = [Thread(target=clock.look, args=(MODEL,)) for clock in clocks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    [run] = services.ledger.runs()
    # Also after the run ended before training, which leaves the version as old as it was.
    services.ledger.transition(run.run_id, "abandoned", services.built[0].clock(), reason="no data")
    services.waited(services.clock())
    assert len(services.ledger.runs()) == 1
    services.lake.newest = DUE + timedelta(days=3)
    services.waited(services.clock())
    assert len(services.ledger.runs()) == 2


def test_limit_postpones_a_schedule(open_services: Callable[..., Services]) -> None:
    """It fires when the limit allows it, not an interval later; what waits is not recorded again and again."""
    services = open_services(cooldown="6d")
    trained_at = START + timedelta(hours=2)
    asked = Cause("1" * 32, MODEL, "request", "please", "ann", event_time=trained_at)
    run = services.handle(asked).run_id
    for state in ("snapshotting", "training", "failed"):
        services.ledger.transition(run, state, DUE)
    clock = services.clock()
    services.lake.newest = trained_at + timedelta(days=6) - timedelta(microseconds=1)
    assert services.waited(clock) is None
    assert len(services.ledger.decisions()) == 1
    services.lake.newest = trained_at + timedelta(days=6)
    done = services.waited(clock)
    assert done is not None
    assert done.decision.action == "retrain"


def test_faulty_data_postpones_a_schedule(open_services: Callable[..., Services]) -> None:
    services = open_services()
    services.handle(Cause.of_verdict(services.installation.verdict(3, state="data_fault")))
    clock = services.clock()
    assert services.waited(clock) is None
    services.handle(Cause.of_verdict(services.installation.verdict(4, state="insufficient_data")))
    done = services.waited(clock)
    assert done is not None
    assert done.decision.action == "retrain"


def test_fault_that_a_replaced_version_answered_postpones_a_schedule(
    open_services: Callable[..., Services],
) -> None:
    """After a promotion the newest verdicts are still about the version before it."""
    services = open_services()
    services.handle(Cause.of_verdict(services.installation.verdict(3, state="data_fault", version="f" * 64)))
    clock = services.clock()
    assert services.waited(clock) is None
    services.handle(Cause.of_verdict(services.installation.verdict(4, state="insufficient_data")))
    assert services.waited(clock) is not None


NEW_ROWS = {"triggers": [{"when": "new_rows", "rows": 20}]}


def test_enough_new_rows_fire_without_a_verdict(open_services: Callable[..., Services]) -> None:
    services = open_services(**NEW_ROWS)
    # A window of 1 d, and 2 h for its outcomes: until then a verdict may come.
    services.lake.newest = START + timedelta(days=1, hours=2)
    assert services.waited(services.clock()) is None
    services.lake.newest += timedelta(microseconds=1)
    clock = services.clock()
    done = services.waited(clock)
    assert done is not None
    assert (done.decision.action, done.decision.reason_code) == ("retrain", "new_rows")
    assert services.waited(clock) is None
    [run] = services.ledger.runs()
    assert run.source == "schedule"
    assert run.cause_reason.endswith(" new rows with outcomes have come, and no verdict with them")


def test_too_few_new_rows_fire_nothing(open_services: Callable[..., Services]) -> None:
    services = open_services(triggers=[{"when": "new_rows", "rows": 1_000_000}])
    assert services.waited(services.clock()) is None
    assert services.ledger.decisions() == []


@pytest.mark.parametrize(("state", "fires"), [("ok", False), ("insufficient_data", True)])
def test_new_rows_are_counted_by_the_verdict_that_comes(
    open_services: Callable[..., Services], state: Any, fires: bool
) -> None:
    """One with too little data evaluates no trigger."""
    services = open_services(triggers=[{"when": "new_rows", "rows": 1}], automation="observe")
    services.handle(Cause.of_verdict(services.installation.verdict(4, state=state)))
    clock = services.clock()
    assert (services.waited(clock) is not None) == fires


def test_observed_schedule_is_recorded_once(open_services: Callable[..., Services]) -> None:
    services = open_services("observe")
    clock = services.clock()
    done = services.waited(clock)
    assert done is not None
    assert done.decision.reason_code == "observe_only"
    assert clock.look(MODEL) is None
    [decision] = services.ledger.decisions()
    assert decision["deliveries"] == 1


def test_only_models_with_a_trigger_of_the_clock_are_looked_at(
    open_services: Callable[..., Services],
) -> None:
    assert open_services().clock().models() == [MODEL]
    assert open_services(triggers=[{"when": "new_rows", "rows": 1}]).clock().models() == [MODEL]
    assert open_services(triggers=[{"when": "drift"}]).clock().models() == []


def test_running_service_has_the_clock(tmp_path: Path) -> None:
    policy = {"triggers": [{"when": "schedule", "every": "3d"}]}
    installation = make_installation(tmp_path, days=5, automation="observe", retraining=policy)
    often = SETTINGS.model_copy(update={"schedule_seconds": 0.05, "schedule_grace_seconds": 0.0})
    service = build(installation.settings, often)
    with TestClient(service.app, base_url="http://127.0.0.1:8003"):
        service.controller.deploy(MODEL, installation.champion, str(installation.project), "ann")
        wait_for(service.deps.ledger.decisions, 10, "a decision of the clock")
        [decision] = service.deps.ledger.decisions()
    assert (decision["source"], decision["reason_code"]) == ("schedule", "observe_only")
