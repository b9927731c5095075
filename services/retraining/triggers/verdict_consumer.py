"""Consumes verdicts from Kafka at least once; the cause's key removes duplicates."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from pydantic import ValidationError

from services.retraining.cause import Cause
from services.retraining.metrics import RetrainingMetrics
from shared.contracts.verdict import Verdict
from shared.errors import CallerError, HomeostatError, IntegrityError
from shared.messaging.interfaces import Consumer, Message, Partition
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)
_WAIT = 0.5
_PAUSE = 1.0


class VerdictConsumer:
    """Consumes the verdicts topic in a thread. Only this thread waits if Kafka is unavailable."""

    def __init__(
        self, consumer: Consumer, handle: Callable[[Cause], object], metrics: RetrainingMetrics, stop: Event
    ) -> None:
        self._consumer = consumer
        self._handle = handle
        self._metrics = metrics
        self._stop = stop
        self._thread = Thread(target=self._work, name="verdicts", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether Kafka has assigned partitions to this process."""
        return bool(self._consumer.assigned())

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread to end; `stop` must be set."""
        self._thread.join(timeout=10)

    def consume_once(self, timeout: float = _WAIT) -> int:
        """Poll once; returns the number of records handled.

        1. poll   2. record each verdict in the ledger   3. commit the offsets

        After a failure in 2 or 3 the records are read again.
        """
        handled: dict[Partition, int] = {}
        count = 0
        try:
            for message in self._consumer.poll(timeout):
                self._handle_record(message)
                handled[message.partition] = message.offset + 1
                count += 1
        finally:
            if handled:
                self._consumer.commit(handled)
        return count

    def _handle_record(self, message: Message) -> None:
        try:
            verdict = Verdict.model_validate_json(message.value)
        except ValidationError as error:
            # A retry would not help; the log has its offset.
            self._metrics.verdicts.labels("unreadable").inc()
            _log.error(
                "verdict_unreadable",
                partition=message.partition.number,
                offset=message.offset,
                problem=str(error)[:500],
            )
            return
        try:
            self._handle(Cause.of_verdict(verdict))
        except (CallerError, IntegrityError) as error:
            # A retry would not help, for example if the version was deleted; skip it so that later verdicts are read.
            self._metrics.verdicts.labels("refused").inc()
            _log.error(
                "verdict_refused", cause_id=verdict.verdict_id, model=verdict.model, problem=str(error)
            )
            return
        self._metrics.verdicts.labels("received").inc()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self.consume_once()
            except (HomeostatError, OSError) as error:
                _log.warning("verdict_consumer_retrying", problem=str(error))
                self._rewind()
            except Exception as error:
                log_unknown_error(_log, error)
                self._rewind()
            self._metrics.listener_up.set(int(self.connected))
        self._consumer.close()

    def _rewind(self) -> None:
        self._stop.wait(_PAUSE)
        self._consumer.rewind()
