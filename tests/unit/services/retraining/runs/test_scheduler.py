"""The scheduler executes runs only while it holds the lease, one thread per run, and continues after a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Lock

import pytest

from services.retraining.cause import Cause
from services.retraining.launchers.training_places import TrainingPlaces
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.records import Project
from services.retraining.metrics import RetrainingMetrics
from services.retraining.policy.decision import Decision
from services.retraining.run_states import State
from services.retraining.runs import scheduler as scheduler_module
from services.retraining.runs.leader_lease import FileLease, Lease
from services.retraining.runs.scheduler import RunScheduler
from shared.backoff import Backoff
from shared.contracts.loop_spec import LoopSpec
from shared.errors import OperatorError
from shared.models.training.training_process import Interrupted
from tests.fakes.retraining_installation import LOOP, MODEL, START
from tests.fakes.retraining_service import wait_for

NEXT: dict[str, State] = {
    "queued": "snapshotting",
    "snapshotting": "training",
    "training": "packaging",
    "packaging": "evaluating",
    "evaluating": "promoting",
    "promoting": "promoted",
}


class FakeLease:
    """A lease that another service may hold or take away."""

    def __init__(self) -> None:
        self.ours = False
        self.lost = False
        self.polls = 0
        self.released = False

    def take(self) -> bool:
        self.polls += 1
        return self.ours

    def is_held(self) -> bool:
        return self.ours

    def holder(self) -> str:
        return "another service"

    def release(self) -> None:
        self.released = True


class Steps:
    """Moves runs through the ledger's states and remembers each step; a test may block a state or make it raise."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = Lock()
        self.done: list[tuple[str, str]] = []
        self.running: set[str] = set()
        self.max_at_once = 0
        self.before: Callable[[str, str], None] = lambda run_id, state: None

    def __call__(self, run_id: str) -> State:
        with self._lock:
            assert run_id not in self.running, "one thread per run"
            self.running.add(run_id)
            self.max_at_once = max(self.max_at_once, len(self.running))
        try:
            state = self._ledger.run(run_id).state
            if state not in NEXT:
                return state
            self.before(run_id, state)
            self.done.append((run_id, state))
            return self._ledger.transition(run_id, NEXT[state], START).state
        finally:
            with self._lock:
                self.running.discard(run_id)

    def of(self, run_id: str) -> list[str]:
        return [state for run, state in self.done if run == run_id]


class Process:
    """What one service process has: a scheduler with its stop event, lease and metrics."""

    def __init__(self, ledger: Ledger, lease: Lease | None = None, *, places: TrainingPlaces) -> None:
        self.fake_lease = FakeLease()
        self.lost: list[str] = []
        self.stop_event = Event()
        self.steps = Steps(ledger)
        self.metrics = RetrainingMetrics()
        self.scheduler = RunScheduler(
            ledger,
            lease or self.fake_lease,
            self.steps,
            self.metrics,
            places=places,
            stop=self.stop_event,
            poll_seconds=0.005,
            on_lease_lost=lambda: self.lost.append("lost"),
        )

    def stop(self) -> None:
        self.stop_event.set()
        self.scheduler.stop()

    def wait_for_polls(self, count: int) -> None:
        until = self.fake_lease.polls + count
        wait_for(lambda: self.fake_lease.polls >= until, 20, "more polls")


def add_run(ledger: Ledger, key: str, model: str = MODEL, memory_mib: int | None = None) -> str:
    loop = {**LOOP, "model": model, **({"training": {"memory_mib": memory_mib}} if memory_mib else {})}
    recorded = ledger.record_cause(
        Cause(key, model, "request", "please", event_time=START),
        version="v1",
        event_time=START,
        now=START,
        owner=Project(model, "/project", LoopSpec.model_validate(loop), "v1"),
        decide=lambda *_: Decision("retrain", "request", "ann asked"),
    )
    return recorded.run_id


@pytest.fixture(autouse=True)
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "_BACKOFF", Backoff(first_s=0.05, max_s=0.2))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(open_engine(f"sqlite:///{tmp_path / 'ledger.sqlite'}"))
    yield opened
    opened.close()


@pytest.fixture
def start(ledger: Ledger) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def make(
        lease: Lease | None = None, *, leading: bool = True, runs_at_once: int = 1, memory: int = 0
    ) -> Process:
        process = Process(ledger, lease, places=TrainingPlaces(runs_at_once, memory))
        process.fake_lease.ours = leading
        started.append(process)
        process.scheduler.start()
        return process

    yield make
    for process in started:
        process.stop()


def promoted(ledger: Ledger, *run_ids: str) -> Callable[[], bool]:
    return lambda: all(ledger.run(run_id).state == "promoted" for run_id in run_ids)


def test_nothing_is_driven_without_the_lease(ledger: Ledger, start: Callable[..., Process]) -> None:
    add_run(ledger, "k1")
    process = start(leading=False)
    process.wait_for_polls(3)
    assert (process.steps.done, process.scheduler.leading) == ([], False)
    assert process.scheduler.holder() == "another service"


def test_leader_drives_every_working_run_once(ledger: Ledger, start: Callable[..., Process]) -> None:
    runs = [add_run(ledger, key) for key in ("k1", "k2")]
    process = start()
    wait_for(promoted(ledger, *runs), 20, "both runs to end")
    process.wait_for_polls(3)
    # Oldest first, one at a time, each step once.
    assert process.steps.done == [(run_id, state) for run_id in runs for state in NEXT]
    assert process.scheduler.holder() == "this process"
    assert process.metrics.registry.get_sample_value("homeostat_retraining_leader") == 1


def test_runs_at_once_bounds_the_threads(ledger: Ledger, start: Callable[..., Process]) -> None:
    runs = [add_run(ledger, f"k{number}") for number in range(4)]
    process = start(leading=False, runs_at_once=2)
    both = Event()

    def block(run_id: str, state: str) -> None:
        if len(process.steps.running) == 2:
            both.set()
        assert both.wait(20), "two runs at the same time"

    process.steps.before = block
    process.fake_lease.ours = True
    wait_for(promoted(ledger, *runs), 20, "all runs to end")
    assert process.steps.max_at_once == 2


def test_memory_bounds_the_runs_at_once(ledger: Ledger, start: Callable[..., Process]) -> None:
    """Of 1 GiB, 700 MiB and 256 MiB fit beside each other; 512 MiB wait until the first has ended."""
    sizes = (("big", 700), ("medium", 512), ("small", 256))
    big, medium, small = (add_run(ledger, f"k-{name}", name, size) for name, size in sizes)
    process = start(leading=False, runs_at_once=3, memory=1 << 30)
    side_by_side = Event()

    def block(run_id: str, state: str) -> None:
        if {big, small} <= process.steps.running:
            side_by_side.set()
        assert {big, medium} > process.steps.running & {big, medium}, "more memory than there is"
        if run_id != medium:
            assert side_by_side.wait(20), "the small run passes the one that does not fit"

    process.steps.before = block
    process.fake_lease.ours = True
    wait_for(promoted(ledger, big, medium, small), 20, "all runs to end")


@pytest.mark.parametrize("error", [OperatorError("the store is away", hint="start it"), OSError("disk")])
def test_run_that_fails_again_and_again_gives_its_place(
    ledger: Ledger, start: Callable[..., Process], error: Exception
) -> None:
    failing, other = add_run(ledger, "k1", "failing"), add_run(ledger, "k2", "other")
    process = start(leading=False)

    def fail(run_id: str, _: str) -> None:
        if run_id == failing:
            raise error

    process.steps.before = fail
    process.fake_lease.ours = True
    wait_for(promoted(ledger, other), 20, "the other model's run to end")
    assert ledger.run(failing).state == "queued"


def test_run_continues_after_an_approval(ledger: Ledger, start: Callable[..., Process]) -> None:
    run_id = add_run(ledger, "k1")
    process = start(leading=False)

    def wait_for_approval(_: str, state: str) -> None:
        if state == "evaluating":
            ledger.transition(run_id, "waiting_for_approval", START)
            raise OperatorError("stop here", hint="none")

    process.steps.before = wait_for_approval
    process.fake_lease.ours = True
    wait_for(lambda: ledger.run(run_id).state == "waiting_for_approval", 20, "the run to wait")
    process.wait_for_polls(3)
    process.steps.before = lambda *_: None
    ledger.answer(run_id, answer="yes", actor="ann", now=START)
    process.scheduler.wake()
    wait_for(promoted(ledger, run_id), 20, "the run to be promoted")


@pytest.mark.parametrize("state", NEXT)
def test_next_process_continues_at_the_interrupted_step(
    ledger: Ledger, start: Callable[..., Process], state: str
) -> None:
    run_id = add_run(ledger, "k1")
    first = start(leading=False)
    died = Event()

    def die(_: str, at: str) -> None:
        if at == state:
            first.stop_event.set()
            died.set()
            raise Interrupted(run_id)

    first.steps.before = die
    first.fake_lease.ours = True
    assert died.wait(20)
    first.stop()
    second = start()
    wait_for(promoted(ledger, run_id), 20, "the run to end")
    assert first.steps.of(run_id) + second.steps.of(run_id) == list(NEXT)
    assert second.steps.of(run_id)[0] == state


def test_step_that_outlasts_a_stop_is_no_death(
    ledger: Ledger, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "_STOP_SECONDS", 0.2)
    run_id = add_run(ledger, "k1")
    process = start(leading=False)
    begun, released = Event(), Event()

    def work_on(_: str, at: str) -> None:
        ledger.begin_step(run_id)
        begun.set()
        released.wait(20)
        raise Interrupted(run_id)

    process.steps.before = work_on
    process.fake_lease.ours = True
    assert begun.wait(20)
    try:
        process.stop()
        assert ledger.run(run_id).step_starts == 0
    finally:
        released.set()


@pytest.mark.parametrize("error", [OperatorError("ledger unavailable", hint="start it"), ZeroDivisionError()])
def test_failed_thread_is_restarted_with_backoff(
    ledger: Ledger, start: Callable[..., Process], error: Exception
) -> None:
    run_id = add_run(ledger, "k1")
    process = start(leading=False)
    failures: list[str] = []

    def fail(_: str, state: str) -> None:
        if state == "training" and len(failures) < 3:
            failures.append(state)
            raise error

    process.steps.before = fail
    before = process.fake_lease.polls
    process.fake_lease.ours = True
    wait_for(promoted(ledger, run_id), 20, "the run to end")
    assert process.steps.of(run_id) == list(NEXT)
    assert process.fake_lease.polls - before > 6, "polls pass while the run is postponed"


def test_two_services_on_one_ledger_one_drives(
    ledger: Ledger, start: Callable[..., Process], tmp_path: Path
) -> None:
    first = start(FileLease(tmp_path / "lease"))
    wait_for(lambda: first.scheduler.leading, 20, "the first to lead")
    second = start(FileLease(tmp_path / "lease"))
    run_id = add_run(ledger, "k1")
    wait_for(promoted(ledger, run_id), 20, "the run to end")
    assert (first.steps.of(run_id), second.steps.done) == (list(NEXT), [])
    first.stop()
    wait_for(lambda: second.scheduler.leading, 20, "the second to take the lease")
    other = add_run(ledger, "k2")
    wait_for(promoted(ledger, other), 20, "the second run to end")
    assert second.steps.of(other) == list(NEXT)


def test_lost_lease_stops_the_process(ledger: Ledger, start: Callable[..., Process]) -> None:
    process = start()
    process.wait_for_polls(2)
    process.fake_lease.ours, process.fake_lease.lost = False, True
    wait_for(process.stop_event.is_set, 20, "the process to stop")
    add_run(ledger, "k1")
    process.scheduler.wake()
    process.scheduler.stop()
    assert process.lost == ["lost"]
    assert process.steps.done == []
    assert process.fake_lease.released


def test_lease_that_cannot_be_renewed_pauses_the_leader(
    ledger: Ledger, start: Callable[..., Process]
) -> None:
    process = start()
    process.wait_for_polls(2)
    process.fake_lease.ours = False
    process.wait_for_polls(2)
    run_id = add_run(ledger, "k1")
    process.wait_for_polls(3)
    assert (process.steps.done, process.lost) == ([], [])
    assert process.metrics.registry.get_sample_value("homeostat_retraining_leader") == 0
    process.fake_lease.ours = True
    wait_for(promoted(ledger, run_id), 20, "the run to end")
    assert process.metrics.registry.get_sample_value("homeostat_retraining_leader") == 1


def test_run_that_failed_is_not_kept_waiting_by_a_long_poll(ledger: Ledger) -> None:
    process = Process(ledger, places=TrainingPlaces(1))
    process.scheduler._poll_seconds = 60.0
    assert process.scheduler._pause() == 60.0
    pause = process.scheduler._postpone("run")
    assert 0 < process.scheduler._pause() <= pause < 60
