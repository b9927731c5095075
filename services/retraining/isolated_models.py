"""Models that a training command wrote, or that came out of the store, are loaded and scored in a process of their own.

A model that crashes, hangs or needs too much memory ends that process, not the service, and the error says what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt

from shared.contracts.loop_spec import LoopSpec
from shared.models.isolation.isolated_engine import IsolatedEngine
from shared.models.isolation.model_process import ModelProcess
from shared.models.isolation.wording import Wording
from shared.models.runners.model_runner import ModelRunner
from shared.models.training.training_process import Interrupted

# Opens the model in a file. The text says which model it is and what is done with it, such as "the champion was evaluated".
OpenModel = Callable[[Path, LoopSpec, str], AbstractContextManager[ModelRunner]]

# The gate has two models open at a time.
SHARE_OF_AVAILABLE = 0.4
_MODULE = "shared.models.isolation"
_MEMORY = "HOMEOSTAT_RETRAINING_MODEL_MEMORY_BYTES"
_SECONDS = "HOMEOSTAT_RETRAINING_MODEL_SECONDS"


class IsolatedModels:
    """Opens models, each in a new process with limits of memory and time."""

    def __init__(self, *, seconds: float, memory_bytes: int, is_stopped: Callable[[], bool]) -> None:
        """`seconds`: for everything that is done with a model while it is open. `memory_bytes` 0: most of what is available.

        `is_stopped`: whether the service is being stopped; asked while a model works.
        """
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._is_stopped = is_stopped

    @contextmanager
    def open(self, path: Path, spec: LoopSpec, doing: str) -> Iterator[ModelRunner]:
        """The model in a file. Raises UnservableModel; Interrupted when the service stops."""
        process = ModelProcess(
            _MODULE,
            seconds=self._seconds,
            memory_bytes=self._memory_bytes,
            share_of_available=SHARE_OF_AVAILABLE,
        )
        try:
            with process.load(path.name, path, {"threads": 1}, _wording(doing), self._check_stopped) as (
                loaded,
                ask,
            ):
                yield IsolatedModel(IsolatedEngine(loaded, ask), spec)
        finally:
            process.close()

    def _check_stopped(self) -> None:
        if self._is_stopped():
            raise Interrupted


class IsolatedModel(ModelRunner):
    """A model in an isolated process."""

    def __init__(self, engine: IsolatedEngine, spec: LoopSpec) -> None:
        """Raises UnservableModel that names what is against the contract."""
        super().__init__(engine, spec)
        self._isolated = engine

    def seconds(self, feeds: Mapping[str, npt.NDArray[Any]]) -> float:
        """The duration of one call in the process: sending the rows is no part of it."""
        self.run(feeds)
        return self._isolated.seconds

    @property
    def memory_bytes(self) -> int | None:
        """How far the memory of its process rose since the process began to load it."""
        return self._isolated.memory_bytes


def _wording(doing: str) -> Wording:
    subject, _, rest = doing.partition(" was ")
    return Wording(
        process=f"the isolated process in which {doing}",
        loading=f"loading {subject}",
        running=f"running {subject} on rows of this run",
        crash_hint="score rows of this run with the model in a process of its own to see the crash, and export it in another way",
        memory=f"{subject} needed more than {{mib}} MiB of memory while it was {rest}",
        memory_hint=f"train a smaller model, raise {_MEMORY}, or give the service more memory",
        time=f"{subject} took longer than {{seconds}} s while it was {rest}",
        time_hint=f"check the model for an endless loop, train a faster one, or raise {_SECONDS}",
    )
