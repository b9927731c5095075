"""A run whose challenger is tried as canary or shadow: ledger, release log, lake, and inference servers with real metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry, generate_latest

from services.inference.metrics import InferenceMetrics
from services.inference.rollout.metrics import Result, SlotMetrics
from services.retraining.cause import Cause
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.phases import Phase
from services.retraining.ledger.records import Project, Run
from services.retraining.metrics import RetrainingMetrics
from services.retraining.phases.inference_servers import Scrape
from services.retraining.phases.phase_end import PhaseEnd
from services.retraining.phases.phase_guard import PhaseGuard
from services.retraining.phases.phase_quality import PhaseQuality
from services.retraining.policy.decision import Decision
from services.retraining.rollout.releaser import Releaser
from services.retraining.run_states import State, after_gate
from services.retraining.runs.gate import digest_of
from shared.contracts.manifest import short
from shared.contracts.release import Release, Slot, slots
from shared.grafana.annotator import NoAnnotator
from shared.stores.model_store import ModelStore
from tests.fakes.in_process_models import open_in_process
from tests.fakes.retraining_installation import (
    MODEL,
    START,
    Installation,
    fill_lake,
    make_installation,
    package_poor_champion,
)

BEGAN_AT = START + timedelta(days=2)
PER_HOUR = 24
LENGTH = timedelta(hours=56)
URL = "http://inference:8000"


@dataclass
class Server:
    """Inference: it serves what the release log says, and counts as the service does. `down`: why it cannot be read."""

    store: ModelStore
    url: str = URL
    down: str = ""
    loads: bool = True
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """All counters begin again."""
        self.registry = CollectorRegistry()
        self.requests = InferenceMetrics(self.registry)
        self.slots = SlotMetrics(self.registry)

    def scrape(self) -> Scrape:
        if self.down:
            return Scrape(self.url, problem=self.down)
        sides = [
            SimpleNamespace(model=MODEL, version_short=short(one.version), release=one)
            for slot, one in slots(self.store.releases(MODEL)).items()
            if slot != "live" and self.loads
        ]
        self.slots.watch(cast(Any, SimpleNamespace(sides=SimpleNamespace(all=lambda: sides))))
        return Scrape(self.url, generate_latest(self.registry).decode())

    def answer(self, version: str, slot: Slot, count: int, seconds: float = 0.004) -> None:
        servable: Any = SimpleNamespace(model=MODEL, version_short=short(version))
        for _ in range(count):
            self.slots.answered(servable, slot, seconds)
        if slot == "live":
            self.requests.answered_together(servable, [1] * count, [seconds] * count)

    def fail(self, version: str, slot: Slot, result: Result, count: int) -> None:
        """The live version answers what a canary does not; its own failures have no answer."""
        servable: Any = SimpleNamespace(model=MODEL, version_short=short(version))
        if slot == "live":
            for _ in range(count):
                self.requests.failed(servable, "failed", 500, 0.004)
        else:
            self.slots.not_answered(servable, slot, result, requests=count)


@dataclass
class Phased:
    """`slope`: of the challenger; outcomes follow slope 2, and so does the live version."""

    installation: Installation
    ledger: Ledger
    metrics: RetrainingMetrics
    live: str
    challenger: str
    run_id: str
    servers: list[Server]
    annotated: list[str] = field(default_factory=list)
    now: datetime = BEGAN_AT
    seconds: float = 0.0
    woken: int = 0
    verified: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new process on the same stores."""
        made = self.installation
        end = PhaseEnd(self.ledger, self.releaser, self.metrics, lambda: self.now, self._wake)
        self.guard = PhaseGuard(
            self.ledger,
            made.store,
            self.releaser,
            end,
            lambda: [server.scrape() for server in self.servers],
            lambda: self.now,
            verify=self._verify,
            monotonic=lambda: self.seconds,
        )
        self.quality = PhaseQuality(
            self.ledger,
            made.store,
            made.lake,
            made.keys,
            end,
            lambda: self.now,
            open_model=open_in_process,
        )

    @property
    def releaser(self) -> Releaser:
        annotator = NoAnnotator(self.annotated.append, "annotated")
        return Releaser(self.installation.store, self.ledger, self.metrics, annotator, lambda: self.now)

    @property
    def run(self) -> Run:
        return self.ledger.run(self.run_id)

    def look(self, seconds: float = 1.0) -> Phase | None:
        """The guard looks, after `seconds`."""
        self.seconds += seconds
        return self.guard.look(self.run_id)

    def judge(self, hours: float) -> Phase | None:
        """Quality looks, `hours` after the phase began."""
        self.now = BEGAN_AT + timedelta(hours=hours)
        return self.quality.look(self.run_id)

    def answer(self, hours: float, slope: float, generation: int, **more: Any) -> None:
        """Rows of a generation from the phase's begin on."""
        fill_lake(
            self.installation.lake,
            BEGAN_AT,
            hours / 24,
            PER_HOUR,
            11,
            generation=generation,
            slope=slope,
            **more,
        )

    def log(self) -> list[tuple[int, str, str]]:
        """Generation, reason and actor of every release."""
        return [
            (entry.generation, entry.reason, entry.actor) for entry in self.installation.store.releases(MODEL)
        ]

    def served(self) -> dict[Slot, str]:
        return {slot: one.version for slot, one in slots(self.installation.store.releases(MODEL)).items()}

    def _verify(self, _: str, __: str) -> None:
        self.verified += 1

    def _wake(self) -> None:
        self.woken += 1


@contextmanager
def phased(
    root: Path, *, slope: float = 2.0, servers: int = 1, rollout: dict[str, Any], **changes: Any
) -> Iterator[Phased]:
    """The challenger has passed the gate, and nothing of its first phase is done yet."""
    made = make_installation(
        root,
        days=2,
        per_hour=PER_HOUR,
        **{"rollout": rollout, "gate": {"maximum_latency_ratio": 3}, **changes},
    )
    live, challenger = (
        package_poor_champion(root, made.spec, made.store, made.keys, slope=one) for one in (2.001, slope)
    )
    made.store.add_release(
        Release(model=MODEL, generation=1, version=live, reason="deployment", actor="ann", released_at=START)
    )
    ledger = Ledger(open_engine(f"sqlite:///{root / 'ledger.sqlite'}"))
    run_id = _passed_gate(ledger, made, live, challenger)
    hosts = [Server(made.store, f"http://inference-{number}:8000") for number in range(servers)]
    try:
        yield Phased(made, ledger, RetrainingMetrics(), live, challenger, run_id, hosts)
    finally:
        ledger.close()


def _passed_gate(ledger: Ledger, made: Installation, live: str, challenger: str) -> str:
    owner = Project(MODEL, str(made.project), made.spec, live)
    ledger.record_project(MODEL, str(made.project), made.spec, live, "ann", BEGAN_AT)
    recorded = ledger.record_cause(
        Cause("k1", MODEL, "request", "try it"),
        version=live,
        event_time=BEGAN_AT,
        now=BEGAN_AT,
        owner=owner,
        decide=lambda *_: Decision("retrain", "request", "requested"),
    )
    states: Sequence[State] = ("snapshotting", "training", "packaging")
    for state in states:
        ledger.transition(recorded.run_id, state, BEGAN_AT)
    ledger.transition(recorded.run_id, "evaluating", BEGAN_AT, version=challenger, champion=live)
    gate = {
        "passed": True,
        "version": challenger,
        "champion": live,
        "gain": {"mean": 0.1, "lower": 0.05},
        "reason": "better",
    }
    ledger.record_gate(recorded.run_id, passed=True, digest=digest_of(gate), result=gate, now=BEGAN_AT)
    ledger.transition(
        recorded.run_id,
        after_gate(made.spec.rollout, live),
        BEGAN_AT,
        reason_code="gate_passed",
        reason="better",
    )
    return recorded.run_id
