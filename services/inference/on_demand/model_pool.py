"""The models as requests see them: one that is not in memory is loaded, and the request waits.

1. a request for a loaded model gets it at once   2. the first one for an unloaded model starts its load, on a thread; all wait
3. a loaded model is acquired for every request that waits, before another load could unload it
4. a failed load is the answer to all that wait, and to those that come before the next attempt

Without a memory bound no model is unloaded, and only step 1 is used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from services.inference.models.retry_schedule import Failure, after_failure, is_due
from services.inference.models.servable import Servable
from services.inference.models.slot import ModelUnloaded, Slots
from shared.contracts.manifest import short
from shared.contracts.release import Release
from shared.errors import HomeostatError, OperatorError
from shared.observability.logs import get_logger

_log = get_logger(__name__)
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 1.0, 30.0

Waiting = asyncio.Future[Servable]


class LoadMetrics(Protocol):
    """Where loads on demand are counted."""

    def loaded(self, servable: Servable, *, seconds: float) -> None: ...

    def load_failed(self, model: str) -> None: ...

    def timed_out(self, model: str) -> None: ...


class ModelPool:
    """Acquires models for requests. Its methods run on the event loop."""

    def __init__(
        self,
        slots: Slots[Servable],
        load: Callable[[Release], Servable],
        metrics: LoadMetrics,
        *,
        wait_seconds: float,
        maximum_waiting: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`load` runs on a thread. `maximum_waiting`: requests that may wait for loads together."""
        self.slots = slots
        self._load_release = load
        self._metrics = metrics
        self._wait_seconds = wait_seconds
        self._maximum_waiting = maximum_waiting
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model-load")
        self._waiting: dict[str, list[Waiting]] = {}
        self._loading: set[asyncio.Task[None]] = set()
        self._failures: dict[str, Failure] = {}

    async def acquire(self, model: str | None) -> Servable:
        """The live servable of a model until `release`, loaded if need be. Raises NotFound, InvalidRequest, OperatorError.

        Of these, ModelUnloaded: it is being loaded, or will be, and a later request may get it.
        """
        try:
            return self.slots.acquire(model)
        except ModelUnloaded as unloaded:
            return await self._loaded(unloaded.model)

    def release(self, servable: Servable) -> None:
        """The request no longer uses the servable."""
        self.slots.release(servable)

    def problem(self, model: str) -> str:
        """Why a model could not be loaded when a request needed it; empty if it could."""
        failure, unloaded = self._failures.get(model), self.slots.unloaded(model)
        is_current = failure and unloaded and failure.generation == unloaded.release.generation
        return failure.problem if failure and is_current else ""

    def close(self) -> None:
        """Start no load any more; one in progress ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _loaded(self, model: str) -> Servable:
        unloaded = self.slots.unloaded(model)
        if unloaded is None:  # loaded by a release just now
            return self.slots.acquire(model)
        failure = self._failures.get(model)
        if failure and not is_due(failure, generation=unloaded.release.generation, now=self._clock()):
            raise _cannot_load(model, failure.problem)
        if sum(map(len, self._waiting.values())) >= self._maximum_waiting:
            raise ModelUnloaded(
                model,
                f"model {model} is not in memory, and {self._maximum_waiting} requests wait for models already",
                hint="retry after a second, or raise HOMEOSTAT_INFERENCE_MODEL_MEMORY_MIB",
            )
        future: Waiting = asyncio.get_running_loop().create_future()
        if model not in self._waiting:
            self._waiting[model] = []
            task = asyncio.create_task(self._load(unloaded.release), name=f"load-{model}")
            self._loading.add(task)
            task.add_done_callback(self._loading.discard)
        self._waiting[model].append(future)
        try:
            await asyncio.wait([future], timeout=self._wait_seconds)
        except asyncio.CancelledError:
            self._give_up(model, future)
            raise
        if future.done():
            return future.result()
        self._give_up(model, future)
        self._metrics.timed_out(model)
        raise ModelUnloaded(
            model,
            f"model {model} is not in memory after {self._wait_seconds:g} s",
            hint="retry after a second: models are loaded one after the other, and its load continues",
        )

    def _give_up(self, model: str, future: Waiting) -> None:
        if future.done():
            if not future.cancelled() and future.exception() is None:
                self.release(future.result())
            return
        future.cancel()
        if future in self._waiting.get(model, []):
            self._waiting[model].remove(future)

    async def _load(self, release: Release) -> None:
        model, start = release.model, self._clock()
        log = _log.bind(model=model, version=short(release.version), generation=release.generation)
        try:
            loop = asyncio.get_running_loop()
            servable = await loop.run_in_executor(self._thread, self._load_release, release)
        except Exception as error:  # unknown errors too: requests get an answer
            problem = self._failed(release, error)
            log.error(
                "model_not_loaded",
                problem=problem,
                exc_info=None if isinstance(error, HomeostatError) else error,
            )
            return
        seconds = self._clock() - start
        if self.slots.swap(servable):
            self._metrics.loaded(servable, seconds=seconds)
            log.info("model_loaded", seconds=round(seconds, 3), device=servable.device)
        else:  # a newer release was served meanwhile
            servable.close()
        self._failures.pop(model, None)
        for future in self._waiting.pop(model):
            if not future.done():
                try:
                    future.set_result(self.slots.acquire(model))
                except HomeostatError as error:
                    future.set_exception(error)

    def _failed(self, release: Release, error: Exception) -> str:
        model, problem = release.model, str(error) or type(error).__name__
        self._failures[model] = after_failure(
            self._failures.get(model),
            generation=release.generation,
            problem=problem,
            now=self._clock(),
            first_wait=_FIRST_RETRY_SECONDS,
            longest_wait=_LAST_RETRY_SECONDS,
        )
        self._metrics.load_failed(model)
        for future in self._waiting.pop(model):
            if not future.done():
                future.set_exception(_cannot_load(model, problem))
        return problem


def _cannot_load(model: str, problem: str) -> OperatorError:
    return OperatorError(
        f"model {model} is not in memory and cannot be loaded: {problem}",
        hint="inference's /status shows the same error; a later request loads the model again",
    )
