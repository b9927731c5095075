"""The outbox relay: MLflow may be unavailable, slow or broken; all entries are sent in the end."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest

from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.tracking.outbox_relay import OutboxRelay, Tracker
from shared.contracts.release import Release
from tests.fakes.retraining_installation import START
from tests.fakes.retraining_service import wait_for


class FakeTracker:
    """Records sent entries; refuses the first few times."""

    def __init__(self, refusals: int = 0) -> None:
        self.sent: list[int] = []
        self.refusals = refusals
        self.opened = 0

    def open(self) -> Tracker:
        self.opened += 1
        return self

    def send(self, entry: dict[str, Any]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("nobody is there")
        self.sent.append(entry["payload"]["generation"])


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(open_engine(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    release(ledger, 1, 2, 3)
    return ledger


def release(ledger: Ledger, *generations: int) -> None:
    for generation in generations:
        ledger.record_release(
            Release(
                model="toy",
                generation=generation,
                version="v",
                reason="deployment",
                actor="ann",
                released_at=START,
            )
        )


def make_relay(ledger: Ledger, tracker: FakeTracker, stop: Event, *, busy: bool = False) -> OutboxRelay:
    return OutboxRelay(ledger, tracker.open, pause=0.02, stop=stop, busy=lambda: busy)


def test_entries_are_sent_once_in_order(ledger: Ledger) -> None:
    tracker = FakeTracker()
    relay = make_relay(ledger, tracker, Event())
    assert relay.send_pending() == 3
    assert relay.send_pending() == 0
    release(ledger, 4)
    relay.send_pending()
    assert (tracker.sent, tracker.opened, ledger.unsent_count()) == ([1, 2, 3, 4], 1, 0)


def test_failing_tracker_is_retried_without_loss(ledger: Ledger) -> None:
    tracker, stop = FakeTracker(refusals=3), Event()
    relay = make_relay(ledger, tracker, stop)
    relay.start()
    wait_for(lambda: tracker.sent == [1, 2, 3], 10, "all entries to be sent")
    wait_for(lambda: relay.problem == "", 10, "the problem to be gone")
    stop.set()


def test_unavailable_tracker_is_reported_and_retried(ledger: Ledger) -> None:
    stop = Event()

    def broken() -> Tracker:
        raise ImportError("no module named mlflow")

    relay = OutboxRelay(ledger, broken, pause=0.02, stop=stop, busy=lambda: False)
    relay.start()
    wait_for(lambda: "no module named mlflow" in relay.problem, 10, "the problem to be reported")
    stop.set()
    assert ledger.unsent_count() == 3


def test_nothing_is_sent_while_runs_are_in_progress(ledger: Ledger) -> None:
    tracker, stop = FakeTracker(), Event()
    make_relay(ledger, tracker, stop, busy=True).start()
    assert not stop.wait(0.3)
    stop.set()
    assert tracker.opened == 0
