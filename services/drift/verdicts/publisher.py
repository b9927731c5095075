"""Publishes stored verdicts in order. While Kafka is unavailable they stay in the store; none is lost."""

from __future__ import annotations

from threading import Event
from typing import Protocol

from services.drift.metrics import DriftMetrics
from services.drift.sharing.ownership import Ownership, OwnsAll
from services.drift.verdicts.store import VerdictStore
from shared.contracts.verdict import Verdict
from shared.errors import HomeostatError
from shared.messaging.interfaces import RecordRefused
from shared.observability.logs import get_logger

_log = get_logger(__name__)
BATCH = 100
# Every verdict that is stored wakes the publisher; this is for one whose process died in between.
_IDLE_SECONDS = 30.0


class VerdictTopic(Protocol):
    """The topic of verdicts. `send` returns when the broker has acknowledged the record.

    Raises DependencyUnavailable, or RecordRefused where the broker will never take it.
    """

    def send(self, verdict: Verdict) -> None: ...


class Publisher:
    """Publishes in the order verdicts were reached: 1. send, 2. mark. A crash in between sends the same verdict twice."""

    def __init__(
        self,
        topic: VerdictTopic,
        verdicts: VerdictStore,
        metrics: DriftMetrics,
        retry_seconds: float = 1.0,
        ownership: Ownership | None = None,
    ) -> None:
        self._topic = topic
        self._verdicts = verdicts
        self._metrics = metrics
        self._retry_seconds = retry_seconds
        self._ownership = ownership or OwnsAll()
        self._wake = Event()
        self._unavailable = False

    def notify(self) -> None:
        """Publish now, without waiting for the retry interval."""
        self._wake.set()

    def run(self, stop: Event) -> None:
        """Publish until `stop` is set; retries while the topic is unavailable."""
        while not stop.is_set():
            self._wake.clear()
            self.publish()
            self._wake.wait(
                self._retry_seconds if self._unavailable else max(_IDLE_SECONDS, self._retry_seconds)
            )

    def publish(self) -> int:
        """Publish stored verdicts; returns how many were sent. Stops at a temporary failure; skips records that were refused, and
        models of other processes."""
        sent = 0
        others: set[str] = set()
        try:
            while waiting := self._verdicts.unpublished(BATCH, others):
                for verdict in waiting:
                    with self._ownership.using(verdict.model) as owned:
                        if owned:
                            sent += self._send(verdict)
                        else:
                            others.add(verdict.model)
            self._note(unavailable=False, error="")
        except HomeostatError as error:
            self._note(unavailable=True, error=str(error))
        self._metrics.unpublished.set(self._verdicts.count_unpublished())
        return sent

    def _send(self, verdict: Verdict) -> bool:
        try:
            self._topic.send(verdict)
        except RecordRefused as error:
            _log.error("verdict_refused", cause_id=verdict.verdict_id, error=str(error))
            self._verdicts.mark_refused(verdict)
            return False
        self._verdicts.mark_published(verdict)
        return True

    def _note(self, *, unavailable: bool, error: str) -> None:
        if unavailable and not self._unavailable:
            _log.warning("verdict_topic_unavailable", error=error)
        if self._unavailable and not unavailable:
            _log.info("verdict_publishing_resumed")
        self._unavailable = unavailable
