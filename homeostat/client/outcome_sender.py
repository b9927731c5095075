"""Sends buffered outcomes from a thread, and on request from the caller's."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

from homeostat.client.exchange import Call
from homeostat.client.outcome_delivery import OutcomeDelivery, kept_message
from homeostat.client.outcomes import Outcome, OutcomeCounts
from homeostat.client.retry import Attempts, Failure, pause_s
from shared.errors import HomeostatError

_log = logging.getLogger("homeostat.client")


class OutcomeSender:
    """Owns the buffer. `send` makes one request and returns its failure, if any."""

    def __init__(
        self, delivery: OutcomeDelivery, send: Callable[[Call], Failure | None], *, retry_s: float
    ) -> None:
        self._delivery = delivery
        self._send = send
        self._retry_s = retry_s
        self._changed = threading.Condition()  # guards the buffer
        self._one_request = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Put outcomes into the buffer; waits for space for as long as a request is retried. Raises OutcomeBufferFull."""
        if self._closed.is_set():
            raise RuntimeError("the client is closed")
        taken = self._take(outcomes)
        while taken < len(outcomes):
            try:
                self._drain(self._retry_s, enough=1)
            except HomeostatError as error:
                raise self._delivery.buffer.full(taken, error.message) from error
            taken += self._take(outcomes[taken:])

    def flush(self, budget_s: float) -> None:
        """Send everything that is in the buffer. Raises OutcomesNotSent after `budget_s` seconds, OutcomesRefused."""
        try:
            self._drain(budget_s)
        except HomeostatError as error:
            with self._changed:
                raise self._delivery.buffer.not_sent(error.message) from error
        with self._changed:
            self._delivery.buffer.raise_refused()

    def close(self, budget_s: float) -> None:
        """End the thread and send what is left. Raises as `flush` does."""
        self._closed.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(budget_s)
        self.flush(budget_s)

    @property
    def counts(self) -> OutcomeCounts:
        """Outcomes so far."""
        with self._changed:
            return self._delivery.buffer.counts

    def _take(self, outcomes: Sequence[Outcome]) -> int:
        with self._changed:
            taken = self._delivery.buffer.add(outcomes, time.monotonic())
            self._changed.notify_all()
        # Started here and not before: a client made before a fork has its thread in the child.
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="homeostat-outcomes", daemon=True)
            self._thread.start()
        return taken

    def _drain(self, budget_s: float, enough: int = 0) -> None:
        """Send until the buffer is empty, or until `enough` outcomes have left it. Raises the error of the last attempt."""
        attempts = Attempts(budget_s, time.monotonic())
        left = max(0, len(self._delivery.buffer) - enough) if enough else 0
        while len(self._delivery.buffer) > left:
            failure = self._send_batch()
            if failure is not None:
                time.sleep(attempts.next_pause_s(failure, time.monotonic(), random.random()))

    def _send_batch(self) -> Failure | None:
        with self._one_request:
            with self._changed:
                batch = self._delivery.batch(time.monotonic())
            if not batch:
                return None
            failure = self._send(self._delivery.call(batch))
            with self._changed:
                return self._delivery.settle(batch, failure, time.monotonic())

    def _run(self) -> None:
        failures = 0
        while not self._closed.is_set():
            with self._changed:
                if not self._closed.is_set():
                    self._changed.wait(self._delivery.seconds_until_due(time.monotonic()))
                is_due = self._delivery.is_due(time.monotonic())
            if not is_due or self._closed.is_set():
                continue
            failure = self._send_batch()
            if failure is not None and failure.rows:
                continue  # these are set aside, with a pause of their own
            failures = failures + 1 if failure else 0
            if failure:
                if failures == 1:
                    _log.warning("%s", kept_message(failure))
                self._closed.wait(pause_s(failures, failure, random.random()))
