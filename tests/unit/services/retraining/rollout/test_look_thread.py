"""The threads that look at models and runs: only where this process leads, and one that fails or hangs stops no other."""

from __future__ import annotations

from threading import Event

import structlog

from services.retraining.rollout.look_thread import LookThread
from shared.errors import DependencyUnavailable
from tests.fakes.retraining_service import wait_for


class Looks:
    """Records looks; `lost` fails with the error, or hangs until `released` is set."""

    def __init__(self, error: Exception | None = None, released: Event | None = None) -> None:
        self.seen: list[str] = []
        self.error = error
        self.released = released

    def look(self, model: str) -> None:
        self.seen.append(model)
        if model == "lost" and self.error is not None:
            raise self.error
        if model == "lost" and self.released is not None:
            self.released.wait(60)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def thread(
    looks: Looks,
    leads: bool = True,
    stop: Event | None = None,
    clock: Clock | None = None,
    at_once: int = 4,
    pause: float = 0.01,
) -> LookThread:
    return LookThread(
        "watch",
        looks.look,
        lambda: ["lost", "toy"],
        lambda: leads,
        stop or Event(),
        pause=pause,
        at_once=at_once,
        monotonic=clock or Clock(),
    )


def look(one: LookThread) -> None:
    for each in one.look_once():
        each.join(10)
        assert not each.is_alive()


def test_only_the_leader_looks() -> None:
    looks = Looks()
    look(thread(looks, leads=False))
    assert looks.seen == []
    look(thread(looks))
    assert sorted(looks.seen) == ["lost", "toy"]


def test_a_model_that_fails_is_reported_once_waits_and_stops_no_other() -> None:
    for error in (DependencyUnavailable("the lake does not respond"), RuntimeError("odd")):
        looks, clock = Looks(error), Clock()
        one = thread(looks, clock=clock, pause=1.0)
        with structlog.testing.capture_logs() as logs:
            look(one)
            look(one)
            assert sorted(looks.seen) == ["lost", "toy", "toy"]
            clock.now += 1000
            look(one)
        assert sorted(looks.seen) == ["lost", "lost", "toy", "toy", "toy"]
        assert len(logs) == 1


def test_a_model_that_hangs_delays_no_other_and_is_not_looked_at_twice() -> None:
    looks = Looks(released=Event())
    one = thread(looks)
    for _ in range(3):
        for each in one.look_once():
            if each.name == "watch toy":
                each.join(10)
    assert sorted(looks.seen) == ["lost", "toy", "toy", "toy"]
    assert looks.released is not None
    looks.released.set()


def test_who_waits_longest_is_next() -> None:
    looks, clock = Looks(), Clock()
    one = thread(looks, clock=clock, at_once=1)
    for _ in range(4):
        clock.now += 1
        for each in one.look_once()[:1]:
            each.join(10)
    assert {"lost", "toy"} <= set(looks.seen)


def test_the_thread_looks_until_it_is_stopped() -> None:
    looks, stop = Looks(), Event()
    one = thread(looks, stop=stop)
    one.start()
    wait_for(lambda: len(looks.seen) > 4, 10, "looks")
    stop.set()


def test_without_anything_to_look_at_it_asks_seldom() -> None:
    asked: list[int] = []
    names: list[str] = []

    def ask() -> list[str]:
        asked.append(1)
        return names

    stop = Event()
    looking = LookThread("test", lambda _: None, ask, lambda: True, stop, pause=0.01, idle_pause=1000.0)
    looking.look_once()
    assert looking._next_pause() == 1000.0
    names.append("m")
    for one in looking.look_once():
        one.join(60)
    assert looking._next_pause() == 0.01
    assert len(asked) == 2
