"""Consumes verdicts from Kafka at least once; the cause's key removes duplicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Thread

from services.retraining.cause import Cause
from services.retraining.metrics import RetrainingMetrics
from services.retraining.triggers.dead_letters import VerdictDeadLetters
from services.retraining.triggers.verdict_record import RefusedRecord, read_verdict
from shared.contracts.verdict import Verdict
from shared.errors import CallerError, HomeostatError, IntegrityError
from shared.messaging.handling_journal import HandlingJournal
from shared.messaging.interfaces import Consumer, Message, Partition
from shared.messaging.record_mac import RecordMac
from shared.observability.logs import get_logger, log_unknown_error

_log = get_logger(__name__)
_WAIT = 1.0
_PAUSE = 1.0
# With an unknown error. Also a minute, for what the record does not cause.
_ATTEMPTS = 5
_ATTEMPT_TIME = timedelta(minutes=1)


@dataclass
class _Failing:
    """A record that failed with an unknown error."""

    partition: Partition
    offset: int
    since: datetime
    attempts: int = 0


class VerdictConsumer:
    """Consumes the verdicts topic in a thread. Only this thread waits if Kafka is unavailable."""

    def __init__(
        self,
        consumer: Consumer,
        handle: Callable[[Cause], object],
        mac: RecordMac,
        metrics: RetrainingMetrics,
        stop: Event,
        clock: Callable[[], datetime],
        journal: HandlingJournal,
        dead_letters: VerdictDeadLetters,
    ) -> None:
        self._consumer = consumer
        self._handle = handle
        self._mac = mac
        self._metrics = metrics
        self._stop = stop
        self._clock = clock
        self._journal = journal
        self._dead_letters = dead_letters
        self._failing: _Failing | None = None
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

        After a failure in 2 or 3 the records are read again. A record that fails with an unknown error time after time is set
        aside: later verdicts must not wait for it. So is one that ended the process time after time (see HandlingJournal).
        """
        handled: dict[Partition, int] = {}
        count = 0
        try:
            for group in self._journal.groups(self._consumer.poll(timeout)):
                with self._journal.handling(group):
                    for message in group:
                        self._handle_record(message)
                        handled[message.partition] = message.offset + 1
                        count += 1
        finally:
            if handled:
                self._consumer.commit(handled)
        return count

    def _handle_record(self, message: Message) -> None:
        """1. authenticity, form, id and time   2. ledger"""
        if self._journal.is_given_up(message):
            self._set_aside(message, f"its handling ended the process {self._journal.limit} times")
            return
        try:
            verdict = read_verdict(message, self._mac, self._clock())
        except RefusedRecord as error:
            self._skip(message, error.result, error.problem, error.verdict)
            return
        try:
            self._handle(Cause.of_verdict(verdict))
        except (CallerError, IntegrityError) as error:
            # For example if the version was deleted.
            self._skip(message, "refused", str(error), verdict)
            return
        except HomeostatError:
            raise
        except Exception as error:
            if not self._is_given_up(message):
                raise
            problem = f"every attempt failed, the last with error {log_unknown_error(_log, error)}"
            self._set_aside(message, problem, verdict)
            return
        self._metrics.verdicts.labels("received").inc()

    def _set_aside(self, message: Message, problem: str, verdict: Verdict | None = None) -> None:
        """Leave a record that may be handled later, and keep it for a person."""
        self._dead_letters.add(message, problem)
        self._skip(message, "set_aside", problem, verdict)

    def _skip(self, message: Message, result: str, problem: str, verdict: Verdict | None = None) -> None:
        """Leave a record that no retry would change, so that later verdicts are read; the log has its offset."""
        self._metrics.verdicts.labels(result).inc()
        _log.error(
            f"verdict_{result}",
            cause_id=verdict.verdict_id if verdict else "",
            model=verdict.model if verdict else "",
            partition=message.partition.number,
            offset=message.offset,
            problem=problem,
        )

    def _is_given_up(self, message: Message) -> bool:
        """Count a failed attempt; whether it was the last."""
        failing = self._failing
        if failing is None or (failing.partition, failing.offset) != (message.partition, message.offset):
            failing = self._failing = _Failing(message.partition, message.offset, self._clock())
        failing.attempts += 1
        return failing.attempts >= _ATTEMPTS and self._clock() - failing.since >= _ATTEMPT_TIME

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
