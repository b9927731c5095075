"""Who drives: runs are driven only while the lease is held, and a process that lost it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from services.retraining.cause import Cause
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Project
from services.retraining.metrics import RetrainingMetrics
from services.retraining.policy.decision import Decision
from services.retraining.runs.durable_runs import DurableRuns
from services.retraining.runs.scheduler import Driver
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_service import wait_for
from tests.fakes.retraining_world import LOOP, MODEL, START


class FakeLease:
    """A lease that somebody else may hold or take away."""

    def __init__(self) -> None:
        self.ours = False
        self.asked = 0
        self.released = False

    def take(self) -> bool:
        self.asked += 1
        return self.ours

    def holder(self) -> str:
        return "another service"

    def release(self) -> None:
        self.released = True


class FakeRuns(DurableRuns):
    """Remembers what it was told to drive."""

    def __init__(self) -> None:
        self.launched = 0
        self.closed = 0
        self.driven: list[str] = []

    def launch(self) -> None:
        self.launched += 1

    def ensure(self, run_id: str) -> None:
        self.driven.append(run_id)

    def close(self) -> None:
        self.closed += 1


class Cab:
    """A driver of one queued run, with a lease that a test gives and takes."""

    def __init__(self, ledger: Ledger) -> None:
        self.lease, self.runs, self.stop = FakeLease(), FakeRuns(), Event()
        self.lost: list[str] = []
        self.metrics = RetrainingMetrics()
        self.driver = Driver(
            ledger,
            self.lease,
            self.runs,
            self.metrics,
            stop=self.stop,
            poll_seconds=0.005,
            lost=lambda: self.lost.append("told"),
        )

    def wait_for_looks(self, count: int) -> None:
        """Until the driver has looked that many times more."""
        until = self.lease.asked + count
        wait_for(lambda: self.lease.asked >= until, 10, "the driver to look again")


@pytest.fixture
def cab(tmp_path: Path) -> Iterator[Cab]:
    ledger = Ledger(open_engine(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    ledger.record_cause(
        Cause("k1", MODEL, "request", "please", event_time=START),
        version="v1",
        event_time=START,
        now=START,
        owner=Project(MODEL, "/project", LoopSpec.model_validate(LOOP), "v1"),
        decide=lambda *_: Decision("retrain", "request", "somebody asked"),
    )
    cab = Cab(ledger)
    cab.driver.start()
    yield cab
    cab.stop.set()
    cab.driver.stop()
    ledger.close()


def test_nothing_is_driven_while_another_service_holds_the_lease(cab: Cab) -> None:
    cab.wait_for_looks(3)
    assert (cab.runs.launched, cab.runs.driven, cab.driver.leading) == (0, [], False)
    assert cab.driver.holder() == "another service"


def test_the_service_that_gets_the_lease_drives_every_run_at_work(cab: Cab) -> None:
    cab.lease.ours = True
    cab.wait_for_looks(3)
    assert (cab.runs.launched, set(cab.runs.driven)) == (1, {"run-k1"})
    assert cab.driver.holder() == "this process"
    assert cab.metrics.registry.get_sample_value("homeostat_retraining_leader") == 1


def test_a_service_that_lost_the_lease_drives_nothing_more_and_ends(cab: Cab) -> None:
    cab.lease.ours = True
    cab.wait_for_looks(2)
    cab.lease.ours = False
    wait_for(cab.stop.is_set, 10, "the driver to end its process")
    driven, asked = len(cab.runs.driven), cab.lease.asked
    cab.driver.nudge()
    cab.driver.stop()
    assert cab.lost == ["told"]
    assert (len(cab.runs.driven), cab.lease.asked) == (driven, asked)
    assert (cab.runs.closed, cab.lease.released) == (1, True)
