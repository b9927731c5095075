"""Sends buffered outcomes from a task, and on request from the caller's."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from homeostat.client.exchange import Call
from homeostat.client.outcome_delivery import OutcomeDelivery, kept_message
from homeostat.client.outcomes import Outcome, OutcomeCounts
from homeostat.client.retry import Attempts, Failure, pause_s
from shared.errors import HomeostatError

_log = logging.getLogger("homeostat.client")


class AsyncOutcomeSender:
    """Owns the buffer, on one event loop. `send` makes one request and returns its failure, if any."""

    def __init__(
        self, delivery: OutcomeDelivery, send: Callable[[Call], Awaitable[Failure | None]], *, retry_s: float
    ) -> None:
        self._delivery = delivery
        self._send = send
        self._retry_s = retry_s
        self._one_request = asyncio.Lock()
        self._added = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def counts(self) -> OutcomeCounts:
        """Outcomes so far."""
        return self._delivery.buffer.counts

    async def add(self, outcomes: Sequence[Outcome]) -> None:
        """Put outcomes into the buffer; waits for space for as long as a request is retried. Raises OutcomeBufferFull."""
        if self._is_closed:
            raise RuntimeError("the client is closed")
        taken = self._take(outcomes)
        while taken < len(outcomes):
            try:
                await self._drain(self._retry_s, enough=1)
            except HomeostatError as error:
                raise self._delivery.buffer.full(taken, error.message) from error
            taken += self._take(outcomes[taken:])

    async def flush(self, budget_s: float) -> None:
        """Send everything that is in the buffer. Raises OutcomesNotSent after `budget_s` seconds, OutcomesRefused."""
        try:
            await self._drain(budget_s)
        except HomeostatError as error:
            raise self._delivery.buffer.not_sent(error.message) from error
        self._delivery.buffer.raise_refused()

    async def close(self, budget_s: float) -> None:
        """End the task and send what is left. Raises as `flush` does."""
        self._is_closed = True
        if self._task is not None:
            # A request that it has under way is cancelled, and sent again below: the server accepts an outcome twice.
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.flush(budget_s)

    def _take(self, outcomes: Sequence[Outcome]) -> int:
        taken = self._delivery.buffer.add(outcomes, _now())
        self._added.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="homeostat-outcomes")
        return taken

    async def _drain(self, budget_s: float, enough: int = 0) -> None:
        """Send until the buffer is empty, or until `enough` outcomes have left it. Raises the error of the last attempt."""
        attempts = Attempts(budget_s, _now())
        left = max(0, len(self._delivery.buffer) - enough) if enough else 0
        while len(self._delivery.buffer) > left:
            failure = await self._send_batch()
            if failure is not None:
                await asyncio.sleep(attempts.next_pause_s(failure, _now(), random.random()))

    async def _send_batch(self) -> Failure | None:
        async with self._one_request:
            batch = self._delivery.batch(_now())
            if not batch:
                return None
            failure = await self._send(self._delivery.call(batch))
            return self._delivery.settle(batch, failure, _now())

    async def _run(self) -> None:
        failures = 0
        while True:
            self._added.clear()
            try:
                await asyncio.wait_for(self._added.wait(), self._delivery.seconds_until_due(_now()))
            except TimeoutError:
                pass
            if not self._delivery.is_due(_now()):
                continue
            failure = await self._send_batch()
            if failure is not None and failure.rows:
                continue  # these are set aside, with a pause of their own
            failures = failures + 1 if failure else 0
            if failure:
                if failures == 1:
                    _log.warning("%s", kept_message(failure))
                await asyncio.sleep(pause_s(failures, failure, random.random()))


def _now() -> float:
    return asyncio.get_running_loop().time()
