"""The service around a world on disk, with a topic that remembers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from services.drift.evaluation.evaluator import Evaluator
from services.drift.http.report_retention import ReportRetention
from services.drift.http.reports import Drawer, Reports
from services.drift.metrics import DriftMetrics
from services.drift.monitoring.lake_reader import DeltaLakeReader
from services.drift.monitoring.monitor import Monitor
from services.drift.monitoring.references import StoredReferences
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.sharing.ownership import Ownership, OwnsAll
from services.drift.verdicts.publisher import Publisher
from services.drift.verdicts.state_changes import Annotator, StateChanges
from services.drift.verdicts.store import VerdictStore
from shared.contracts.verdict import Detector, Verdict
from shared.errors import DependencyUnavailable
from shared.messaging.interfaces import RecordRefused
from shared.stores.reports.report_store import open_report_store
from tests.unit.services.drift.distances import ScipyDistances
from tests.unit.services.drift.world import World, minutes


@dataclass
class MemoryTopic:
    """A topic that remembers; `refuse` records are refused for now, those of `too_large` for good; after a send to a topic that
    has `crash` set the process "dies" before it can mark."""

    records: list[Verdict] = field(default_factory=list)
    refuse: int = 0
    crash: bool = False
    too_large: set[str] = field(default_factory=set)

    def send(self, verdict: Verdict) -> None:
        if self.refuse:
            self.refuse -= 1
            raise DependencyUnavailable("no broker answers")
        if verdict.verdict_id in self.too_large:
            raise RecordRefused("too large")
        self.records.append(verdict)
        if self.crash:
            raise SystemExit("killed between sending and marking")


@dataclass
class MemoryAnnotator:
    """Remembers what it was asked to mark: text, tags and moment."""

    marks: list[tuple[str, tuple[str, ...], datetime | None]] = field(default_factory=list)

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None:
        self.marks.append((text, tuple(tags), at))


@dataclass
class Installation:
    """The service's own parts around a world on disk; `restart` begins again from what is stored."""

    world: World
    topic: MemoryTopic = field(default_factory=MemoryTopic)
    now: datetime = field(default_factory=lambda: minutes(100_000))
    seconds: float = 0.0
    annotator: Annotator = field(default_factory=MemoryAnnotator)
    ownership: Ownership = field(default_factory=OwnsAll)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.metrics = DriftMetrics(CollectorRegistry())
        self.verdicts = VerdictStore(
            self.world.home / "drift" / "verdicts.sqlite", shared=not isinstance(self.ownership, OwnsAll)
        )
        self.references = StoredReferences(
            self.world.store, self.world.home / "drift" / "versions", self.world.keys.verifying
        )
        self.lake_reader = DeltaLakeReader(self.world.lake)
        self.publisher = Publisher(self.topic, self.verdicts, self.metrics, 0.01, self.ownership)
        evaluation = WindowEvaluation(
            self.references,
            self.lake_reader,
            Evaluator(ScipyDistances()),
            self.verdicts,
            self.metrics,
            lambda: self.now,
            notify_publisher=self.publisher.notify,
            on_evaluation=StateChanges(self.verdicts, self.annotator).annotate,
        )
        self.monitor = Monitor(
            references=self.references,
            lake_reader=self.lake_reader,
            evaluation=evaluation,
            verdicts=self.verdicts,
            metrics=self.metrics,
            now=lambda: self.now,
            clock=lambda: self.seconds,
            ownership=self.ownership,
        )

    def reports(
        self,
        drawer: Drawer,
        kept: int = 20,
        open_decisions: Callable[[], Collection[str]] = frozenset,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Reports:
        """Reports below `reports`, kept for 90 days of the clock `now`."""
        store = open_report_store((self.world.home / "reports").as_uri())
        return Reports(
            store,
            ReportRetention(store, kept, timedelta(days=90), open_decisions, now),
            self.verdicts,
            self.references,
            self.lake_reader,
            drawer,
        )

    def settle(self) -> list[Verdict]:
        """Evaluate until nothing is left; the verdicts so far, oldest first."""
        while self.monitor.step():
            pass
        return list(reversed(self.verdicts.latest(None, 1000)))

    def judged(self, detector: Detector = "performance") -> list[Verdict]:
        """The same, of one detector."""
        return [verdict for verdict in self.settle() if verdict.detector == detector]
