"""A pool of isolated processes for several threads: each takes one that is free, the one that was used last first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import LifoQueue

from services.inference.isolation.engine import TriedEngine
from services.inference.isolation.process import IsolatedProcess
from services.inference.runtimes.engines import EngineOptions


class IsolatedProcessPool:
    """As many trials at a time as there are processes; each process is started when it is needed."""

    def __init__(self, processes: Sequence[IsolatedProcess]) -> None:
        self._all = tuple(processes)
        self._free: LifoQueue[IsolatedProcess] = LifoQueue()
        for process in processes:
            self._free.put(process)

    @contextmanager
    def open(
        self, name: str, model: bytes, options: EngineOptions, is_wanted: Callable[[], bool]
    ) -> Iterator[TriedEngine]:
        """The model of a file, loaded in a process, which is waited for. Raises UnservableModel."""
        process = self._free.get()
        try:
            with process.open(name, model, options, is_wanted) as engine:
                yield engine
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End the processes, and start none any more."""
        for process in self._all:
            process.close()
