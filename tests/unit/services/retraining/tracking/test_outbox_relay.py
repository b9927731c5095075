"""The outbox feeder: a mirror may be absent, slow or broken; it is told everything in the end, and nobody waits for it."""

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


class FakeMirror:
    """Remembers what it was told; refuses the first few times."""

    def __init__(self, refusals: int = 0) -> None:
        self.told: list[int] = []
        self.refusals = refusals
        self.opened = 0

    def open(self) -> Tracker:
        self.opened += 1
        return self

    def send(self, entry: dict[str, Any]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("nobody is there")
        self.told.append(entry["payload"]["generation"])


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


def feeder(ledger: Ledger, mirror: FakeMirror, stop: Event, *, busy: bool = False) -> OutboxRelay:
    return OutboxRelay(ledger, mirror.open, pause=0.02, stop=stop, busy=lambda: busy)


def test_entries_are_sent_once_in_order(ledger: Ledger) -> None:
    mirror = FakeMirror()
    feeding = feeder(ledger, mirror, Event())
    assert feeding.send_pending() == 3
    assert feeding.send_pending() == 0
    release(ledger, 4)
    feeding.send_pending()
    assert (mirror.told, mirror.opened, ledger.unsent_count()) == ([1, 2, 3, 4], 1, 0)


def test_failing_tracker_is_retried_without_loss(ledger: Ledger) -> None:
    mirror, stop = FakeMirror(refusals=3), Event()
    feeding = feeder(ledger, mirror, stop)
    feeding.start()
    wait_for(lambda: mirror.told == [1, 2, 3], 10, "the mirror to be told")
    wait_for(lambda: feeding.problem == "", 10, "the problem to be gone")
    stop.set()


def test_unavailable_tracker_is_reported_and_retried(ledger: Ledger) -> None:
    stop = Event()

    def broken() -> Tracker:
        raise ImportError("no module named mlflow")

    feeding = OutboxRelay(ledger, broken, pause=0.02, stop=stop, busy=lambda: False)
    feeding.start()
    wait_for(lambda: "no module named mlflow" in feeding.problem, 10, "the problem to be told")
    stop.set()
    assert ledger.unsent_count() == 3


def test_nothing_is_sent_while_runs_are_in_progress(ledger: Ledger) -> None:
    mirror, stop = FakeMirror(), Event()
    feeder(ledger, mirror, stop, busy=True).start()
    assert not stop.wait(0.3)
    stop.set()
    assert mirror.opened == 0
