"""One leader among several services on one ledger, on SQLite and on a real Postgres; time is a number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from services.retraining import bootstrap
from services.retraining.cause import Cause
from services.retraining.dependencies import Dependencies
from services.retraining.ledger.engine import LeaseLost, open_engine, writing
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Project
from services.retraining.policy.decision import Decision
from services.retraining.runs.leader_lease import LEASE_SECONDS, RENEW_SECONDS, LedgerLease
from services.retraining.settings import RetrainingSettings
from shared.contracts.loop_spec import LoopSpec
from tests.fakes.retraining_installation import LOOP, MODEL, START, make_installation
from tests.postgres import Postgres

FAILOVER_SECONDS = 10.0


class Service:
    """What a service has of the lease: its own engine and clock, and the leader's view of the ledger."""

    def __init__(self, url: str, now: float = 0.0) -> None:
        self.now = now
        self.engine: Engine = open_engine(url)
        self.lease = LedgerLease(self.engine, clock=lambda: self.now)
        self.leaders = Ledger(self.engine.execution_options(fence=self.lease.check))

    def live(self, seconds: float) -> bool:
        """Pass time as the scheduler does; whether it leads at the end."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + RENEW_SECONDS)
            self.lease.take()
        return self.lease.is_held()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def pair(url: str) -> Iterator[tuple[Service, Service]]:
    """The second one's clock is another one."""
    services = Service(url), Service(url, now=1e6)
    yield services
    for service in services:
        service.engine.dispose()


def both_live(seconds: int, *services: Service) -> None:
    for _ in range(seconds):
        for service in services:
            service.live(1.0)


def add_run(ledger: Ledger) -> str:
    recorded = ledger.record_cause(
        Cause("k1", MODEL, "request", "please", event_time=START),
        version="v1",
        event_time=START,
        now=START,
        owner=Project(MODEL, "/project", LoopSpec.model_validate(LOOP), "v1"),
        decide=lambda *_: Decision("retrain", "request", "ann asked"),
    )
    return recorded.run_id


def test_first_leads_as_long_as_it_renews(pair: tuple[Service, Service]) -> None:
    first, second = pair
    assert first.lease.take()
    both_live(60, first, second)
    assert (first.lease.is_held(), second.lease.is_held()) == (True, False)
    assert second.lease.holder().startswith("process ")


def test_dead_leader_is_replaced_within_ten_seconds(pair: tuple[Service, Service]) -> None:
    first, second = pair
    first.lease.take()
    both_live(3, first, second)
    assert not second.live(LEASE_SECONDS - 2)
    assert second.live(FAILOVER_SECONDS - LEASE_SECONDS)


def test_stopped_leader_changes_nothing_after_it_continues(pair: tuple[Service, Service]) -> None:
    first, second = pair
    run_id = add_run(first.leaders) if first.lease.take() else ""
    both_live(3, first, second)
    assert first.lease.is_held()
    # SIGSTOP: nothing of it runs, and its clock goes on.
    second.live(FAILOVER_SECONDS)
    assert second.leaders.transition(run_id, "snapshotting", START).state == "snapshotting"
    # It continues within a step, before its next renewal.
    for act in (
        lambda: first.leaders.transition(run_id, "abandoned", START),
        lambda: first.leaders.begin_step(run_id),
        lambda: first.leaders.record_gate(run_id, passed=True, digest="d", result={}, now=START),
        first.leaders.require_lease,
    ):
        with pytest.raises(LeaseLost):
            act()
    first.now += FAILOVER_SECONDS
    assert not first.lease.is_held()
    assert (first.lease.take(), first.lease.lost) == (False, True)
    assert (second.leaders.run(run_id).state, second.leaders.run(run_id).gate) == ("snapshotting", None)


def test_never_two_leaders_at_a_time(pair: tuple[Service, Service]) -> None:
    """The first one stops for every duration, at every phase of the second one's renewals."""
    first, second = pair
    first.lease.take()
    both_live(2, first, second)
    left = first.now
    for _ in range(100):
        first.now += 0.1
        second.now += 0.1
        if round(10 * (first.now - left)) % 10 == 0:
            second.lease.take()
        assert not (first.lease.is_held() and second.lease.is_held())
    assert second.lease.is_held()


def test_services_on_postgres_execute_and_watch_with_the_fence(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And answer HTTP without it: every service does."""
    watching: list[Dependencies] = []

    def make_looks(deps: Dependencies, *_: object) -> list[object]:
        watching.append(deps)
        return []

    monkeypatch.setattr(bootstrap, "make_looks", make_looks)
    settings = RetrainingSettings(listen=False, mlflow=False, ledger=postgres.new_database())
    service = bootstrap.build(make_installation(tmp_path, days=1).settings, settings)
    [watchers] = watching
    for deps in (watchers, service.controller._pipeline._deps):
        with pytest.raises(LeaseLost):
            deps.ledger.require_lease()
        with pytest.raises(LeaseLost):
            deps.releaser.deploy(MODEL, "v", "loop")
    service.deps.ledger.require_lease()
    service.deps.ledger.close()


@pytest.mark.parametrize("url", ["postgres"], indirect=True)  # SQLite has one writer at a time
def test_leader_that_renews_at_the_last_moment_keeps_the_lease(pair: tuple[Service, Service]) -> None:
    """Another one has read the row, unchanged for long enough, and is about to take it."""
    first, second = pair
    first.lease.take()
    second.lease.take()
    second.now += FAILOVER_SECONDS
    first.now += 1.0
    reads: list[float] = []

    def clock() -> float:
        reads.append(second.now)
        if len(reads) == 2:  # between its SELECT and its UPDATE
            assert first.lease.take()
        return second.now

    second.lease._clock = clock
    assert not second.lease.take()
    assert len(reads) >= 2
    assert (first.lease.take(), first.lease.lost) == (True, False)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)  # SQLite has one writer at a time
def test_lease_is_not_taken_within_a_transaction_of_the_leader(url: str) -> None:
    """A leader that is stopped between the check of its token and the commit is not replaced before that has ended."""
    first, second = Service(url), Service(f"{url}?options=-c%20lock_timeout%3D200ms")
    first.lease.take()
    second.lease.take()
    second.now += FAILOVER_SECONDS
    with writing(first.engine.execution_options(fence=first.lease.check)):
        assert not second.lease.take()
    assert second.lease.take()
    for service in (first, second):
        service.engine.dispose()


def test_leader_that_stops_hands_over_at_once(pair: tuple[Service, Service]) -> None:
    first, second = pair
    first.lease.take()
    second.lease.take()
    first.lease.release()
    assert not first.lease.is_held()
    assert second.lease.take()
    with pytest.raises(LeaseLost):
        first.leaders.require_lease()


def test_hung_database_is_no_reason_to_replace_the_leader(
    pair: tuple[Service, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    first.lease.take()
    both_live(3, first, second)
    changing = second.lease._changing

    def slow():  # type: ignore[no-untyped-def]
        second.now += 60.0
        return changing()

    # Neither can reach it for a minute; the second one's answer comes first.
    monkeypatch.setattr(second.lease, "_changing", slow)
    first.now += 60.0
    assert (first.lease.is_held(), second.lease.take()) == (False, False)
    monkeypatch.undo()
    both_live(3, first, second)
    assert (first.lease.is_held(), first.lease.lost, second.lease.is_held()) == (True, False, False)


def test_lease_survives_a_database_that_is_away(pair: tuple[Service, Service]) -> None:
    first, _ = pair
    first.lease.take()

    held_until = LEASE_SECONDS - 1.0
    engine, first.lease._engine = first.lease._engine, _Away()  # type: ignore[assignment]
    first.now = held_until - 0.1
    assert first.lease.take()
    first.now = held_until
    assert (first.lease.take(), first.lease.lost) == (False, False)
    first.lease._engine = engine
    assert first.lease.take()


class _Away:
    def execution_options(self, **_: object) -> _Away:
        return self

    def begin(self) -> None:
        raise OperationalError("BEGIN", {}, OSError("connection refused"))
