"""A Postgres that hangs under two services that want to lead: at no moment do both, and one of them leads soon afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from services.retraining.ledger.engine import LeaseLost, open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.runs.leader_lease import LEASE_SECONDS, RENEW_SECONDS, LedgerLease
from tests.postgres import Postgres
from tests.waiting import eventually

pytestmark = pytest.mark.chaos


class Candidate(threading.Thread):
    """Takes or renews the lease, as the scheduler does, and tries an act of the leader each time."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._engine = open_engine(url)
        self.lease = LedgerLease(self._engine)
        self._leaders = Ledger(self._engine.execution_options(fence=self.lease.check))
        self.enough = threading.Event()
        self.acts = 0

    def run(self) -> None:
        while not self.enough.wait(RENEW_SECONDS / 2):
            self.lease.take()
            if self.lease.is_held():
                try:
                    self._leaders.require_lease()
                    self.acts += 1
                except LeaseLost:
                    return


@pytest.fixture
def candidates(postgres: Postgres) -> Iterator[list[Candidate]]:
    url = postgres.new_database()
    made = [Candidate(url), Candidate(url)]
    for one in made:
        one.start()
    yield made
    for one in made:
        one.enough.set()
        one.join(30)


def leaders(candidates: list[Candidate]) -> list[Candidate]:
    return [one for one in candidates if one.lease.is_held()]


@pytest.mark.parametrize("seconds", [3.0, LEASE_SECONDS + 4.0])
def test_hung_database_makes_no_second_leader(
    postgres: Postgres, candidates: list[Candidate], seconds: float
) -> None:
    [leader] = eventually(lambda: leaders(candidates), "a leader")
    time.sleep(2)
    most = 0
    with postgres.hanging():
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            most = max(most, len(leaders(candidates)))
            time.sleep(0.01)
        if seconds > LEASE_SECONDS:
            assert leaders(candidates) == []
        before = leader.acts
    began = time.monotonic()
    while time.monotonic() < began + 3:
        most = max(most, len(leaders(candidates)))
        time.sleep(0.01)
    assert most == 1
    eventually(lambda: leader.acts > before, "the same leader goes on", within_s=10)
    assert leaders(candidates) == [leader]
