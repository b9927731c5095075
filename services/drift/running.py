"""The assembled service: its threads, and the order in which they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread

from fastapi import FastAPI

from services.drift.http.report_retention import ReportRetention
from services.drift.monitoring.monitor import Monitor
from services.drift.sharing.membership import Membership
from services.drift.stream_monitor.examiner import Examiner
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.preparation import ProfilePreparation
from services.drift.stream_monitor.profiles import Profiles
from services.drift.stream_monitor.stream_monitor import StreamMonitor
from services.drift.verdicts.kafka_topic import KafkaVerdicts
from services.drift.verdicts.publisher import Publisher
from services.drift.verdicts.store import VerdictStore
from shared.grafana.annotator import Annotator, NoAnnotator
from shared.observability.logs import get_logger, log_unknown_error
from shared.tls.server_certificate import ServerCertificate

_log = get_logger(__name__)


@dataclass(frozen=True)
class StreamDetection:
    """What watches the predictions topic, and what examines its alarms."""

    monitor: StreamMonitor
    examiner: Examiner
    pending: PendingSuspicions
    preparation: ProfilePreparation
    profiles: Profiles


@dataclass
class Drift:
    """The assembled service."""

    app: FastAPI
    monitor: Monitor
    publisher: Publisher
    verdicts: VerdictStore
    topic: KafkaVerdicts
    annotator: Annotator | NoAnnotator
    ready: Event
    retention: ReportRetention
    stream: StreamDetection | None = None
    certificate: ServerCertificate | None = None
    membership: Membership | None = None
    _stop: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    def start(self) -> None:
        """Start the monitor, the publisher and stream detection, each in its thread."""
        targets: list[tuple[str, Callable[[], None]]] = [
            ("monitor", self._monitor),
            ("publisher", self._publish),
            ("retention", lambda: self._restart_on_error(self.retention.run)),
        ]
        if self.membership is not None:
            membership = self.membership
            targets.append(("membership", lambda: self._restart_on_error(membership.run)))
        if self.stream is not None:
            stream = self.stream
            targets += [
                ("profiles", lambda: stream.preparation.run(stream.profiles, self._stop)),
                ("stream", lambda: self._restart_on_error(stream.monitor.run)),
                ("examiner", lambda: self._restart_on_error(stream.examiner.run)),
            ]
        for name, target in targets:
            thread = Thread(target=target, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """1. start no new window   2. store the current one and a last snapshot   3. leave the group; close Grafana, broker and
        store. The locks of shared models end with the process."""
        self._stop.set()
        self.publisher.notify()
        if self.stream is not None:
            self.stream.pending.added.set()
            self.stream.preparation.end()
        for thread in self._threads:
            thread.join(timeout=15)
        if self.stream is not None:
            self.stream.monitor.reader.close()
        if self.membership is not None:
            self.membership.close()
        self.annotator.close(timeout_s=2.0)
        self.topic.close()
        self.verdicts.close()

    def _monitor(self) -> None:
        self.ready.set()
        self._restart_on_error(self.monitor.run)

    def _publish(self) -> None:
        self._restart_on_error(self.publisher.run)

    def _restart_on_error(self, run: object) -> None:
        """Restart a loop that ends with an unknown error, so that monitoring does not stop unnoticed."""
        assert callable(run)
        while not self._stop.is_set():
            try:
                run(self._stop)
            except Exception as error:
                log_unknown_error(_log, error)
                self._stop.wait(1.0)
