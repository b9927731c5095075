"""Answers requests by the canary of a model or by its live version. The whole request is answered by one of them.

1. without a canary: the live version   2. is the key of the request in the canary's share? Without a key, the id of its first
prediction   3. the canary answers; if it fails, whatever the reason, the live version does, under the same id
4. if it does not answer in time, the live version does, and for a while it answers all requests: the canary may hang
A request that both refuse is the client's error. Nothing of a failed answer is logged, so each prediction is logged once.
A full spool is no failure of the canary: the rows are dropped and counted, and would be counted twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.prediction.full_spool import SpoolFull
from services.inference.rollout.metrics import Result, SlotMetrics
from services.inference.rollout.share import is_in_share
from shared.contracts.prediction_id import IdBlock, PredictionIds
from shared.errors import HomeostatError, InvalidRequest, OperatorError, UnservableModel
from shared.models.answer_checks import NonFiniteAnswer
from shared.observability.logs import get_logger

_log = get_logger(__name__)
T = TypeVar("T")
MAX_SECONDS = 5.0
_ROWS = 256  # of a large request: a canary that is slow, but as slow as measured, has the time for it
REST_SECONDS = 30.0  # after an answer that did not come in time
# Answers with a servable; the ids of the first predictions are given where they decided on it.
Attempt = Callable[[Servable, IdBlock | None], Awaitable[T]]


class CanaryAnswers:
    """Chooses the slot of each request."""

    def __init__(
        self,
        slots: Slots[Servable],
        ids: PredictionIds,
        metrics: SlotMetrics,
        *,
        maximum_seconds: float = MAX_SECONDS,
    ) -> None:
        """`maximum_seconds`: how long a request waits for a canary at least."""
        self._maximum_seconds = maximum_seconds
        self._rests: dict[Servable, float] = {}  # until when, by time.monotonic
        self._slots = slots
        self._ids = ids
        self._metrics = metrics
        # Model, generation and kind of each error that was logged.
        self._logged: set[tuple[str, int, str]] = set()

    async def answer(self, live: Servable, key: str | None, attempt: Attempt[T]) -> T:
        """What `attempt` returns with the slot that answers. `live` is acquired; raises what it raises with `live`."""
        canary = self._slots.sides.canaries.get(live.model)
        if canary is None:
            return await attempt(live, None)
        first = self._ids.make_block(live.model, 1) if key is None else None
        chosen = first[0] if first is not None else key or ""
        release = canary.release
        if self._rests.get(canary, 0.0) > time.monotonic() or not is_in_share(
            chosen, model=release.model, version=release.version, share=release.share
        ):
            return await self._timed(live, "live", first, attempt)
        self._slots.hold(canary)
        try:
            return await self._in_time(canary, self._timed(canary, "canary", first, attempt))
        except SpoolFull:
            raise
        except Exception as error:
            answer = await self._timed(live, "live", first, attempt)
            self._failed(canary, error)
            return answer
        finally:
            self._slots.release(canary)

    async def _timed(self, servable: Servable, slot: str, first: IdBlock | None, attempt: Attempt[T]) -> T:
        start = time.perf_counter()
        answer = await attempt(servable, first)
        self._metrics.answered(
            servable, "canary" if slot == "canary" else "live", time.perf_counter() - start
        )
        return answer

    async def _in_time(self, canary: Servable, answer: Awaitable[T]) -> T:
        seconds = max(self._maximum_seconds, 10 * canary.seconds(_ROWS))
        try:
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            self._rests = {canary: time.monotonic() + REST_SECONDS} | {
                one: until for one, until in self._rests.items() if not one.retired and one is not canary
            }
            raise UnservableModel(f"no answer within {seconds:.3g} s") from None

    def _failed(self, canary: Servable, error: Exception) -> None:
        result = result_of(error)
        self._metrics.not_answered(canary, "canary", result)
        kind = type(error).__name__
        model, generation = canary.model, canary.generation
        if (model, generation, kind) not in self._logged:
            self._logged = {one for one in self._logged if one[0] != model or one[1] >= generation}
            self._logged.add((model, generation, kind))
            _log.warning(
                "canary_failed",
                model=canary.model,
                version=canary.version_short,
                result=result,
                problem=str(error) or kind,
                exc_info=None if isinstance(error, HomeostatError) else error,
            )


def result_of(error: Exception) -> Result:
    """How a failed call of a canary or shadow is counted."""
    if isinstance(error, NonFiniteAnswer):
        return "non_finite"
    if isinstance(error, InvalidRequest):
        return "refused"
    return "queued" if isinstance(error, OperatorError) else "failed"
