from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from services.inference.isolation.process import IsolatedProcess
from services.inference.isolation.process_pool import IsolatedProcessPool
from services.inference.runtimes.engines import EXACT, EngineOptions
from shared.contracts.version_files.names import MODEL
from tests.waiting import bound


class FakeProcess:
    """Remembers how many use it."""

    def __init__(self) -> None:
        self.opened = 0
        self.users = 0
        self.closed = False

    @contextmanager
    def open(
        self, name: str, model: bytes, options: EngineOptions, is_wanted: Callable[[], bool]
    ) -> Iterator[Any]:
        self.opened += 1
        self.users += 1
        assert self.users == 1
        try:
            yield self
        finally:
            self.users -= 1

    def close(self) -> None:
        self.closed = True


def make(count: int) -> tuple[IsolatedProcessPool, list[FakeProcess]]:
    fakes = [FakeProcess() for _ in range(count)]
    return IsolatedProcessPool(cast("list[IsolatedProcess]", fakes)), fakes


def opened(processes: IsolatedProcessPool) -> Any:
    return processes.open(MODEL, b"", EXACT, lambda: True)


def test_two_versions_are_on_trial_at_a_time() -> None:
    processes, fakes = make(2)
    with opened(processes) as one, opened(processes) as other:
        assert one is not other
    with opened(processes):
        pass
    assert sorted(fake.opened for fake in fakes) == [1, 2]
    processes.close()
    assert all(fake.closed for fake in fakes)


def test_trial_waits_for_a_free_process() -> None:
    processes, [fake] = make(1)
    entered = threading.Event()

    def enter() -> None:
        with opened(processes):
            entered.set()

    thread = threading.Thread(target=enter)
    with opened(processes):
        thread.start()
        assert not entered.wait(0.1)
    thread.join(bound(10))
    assert entered.is_set()
    assert fake.opened == 2


def test_process_is_free_again_after_a_refused_version() -> None:
    processes, [fake] = make(1)
    for _ in range(2):
        try:
            with opened(processes):
                raise ValueError
        except ValueError:
            pass
    assert fake.opened == 2
