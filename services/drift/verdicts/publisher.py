"""Takes stored verdicts to the topic. Away from Kafka they wait; nothing is lost, and the order is kept."""

from __future__ import annotations

from threading import Event
from typing import Protocol

from services.drift.metrics import DriftMetrics
from services.drift.verdicts.store import VerdictStore
from shared.contracts.verdict import Verdict
from shared.errors import HomeostatError
from shared.messaging.interfaces import RecordRefused
from shared.observability.logs import get_logger

_log = get_logger(__name__)
BATCH = 100


class VerdictTopic(Protocol):
    """Where verdicts go. `send` returns when the broker has the record.

    Raises DependencyUnavailable, or RecordRefused where the broker will never take it.
    """

    def send(self, verdict: Verdict) -> None: ...


class Publisher:
    """Publishes in the order verdicts were reached: 1. send, 2. mark. A crash in between sends the same verdict twice."""

    def __init__(
        self, topic: VerdictTopic, verdicts: VerdictStore, metrics: DriftMetrics, retry_seconds: float = 1.0
    ) -> None:
        self._topic = topic
        self._verdicts = verdicts
        self._metrics = metrics
        self._retry_seconds = retry_seconds
        self._news = Event()
        self._away = False

    def notify(self) -> None:
        """There is something to publish."""
        self._news.set()

    def run(self, stop: Event) -> None:
        """Publish until `stop` is set; tries again while the topic is away."""
        while not stop.is_set():
            self._news.clear()
            self.publish()
            self._news.wait(self._retry_seconds)

    def publish(self) -> int:
        """Publish what waits; returns how many verdicts the topic took. Stops at the first that it does not take for now; what
        it will never take is passed over."""
        sent = 0
        try:
            while waiting := self._verdicts.unpublished(BATCH):
                for verdict in waiting:
                    try:
                        self._topic.send(verdict)
                    except RecordRefused as error:
                        _log.error("verdict_refused", cause_id=verdict.verdict_id, error=str(error))
                        self._verdicts.mark_refused(verdict.verdict_id)
                        continue
                    self._verdicts.mark_published(verdict.verdict_id)
                    sent += 1
            self._note(away=False, error="")
        except HomeostatError as error:
            self._note(away=True, error=str(error))
        self._metrics.unpublished.set(self._verdicts.count_unpublished())
        return sent

    def _note(self, *, away: bool, error: str) -> None:
        if away and not self._away:
            _log.warning("verdict_topic_unavailable", error=error)
        if self._away and not away:
            _log.info("verdict_publishing_resumed")
        self._away = away
