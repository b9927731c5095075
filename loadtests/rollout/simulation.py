"""Releases in a real release log and ledger, watched by the real watch. Only the lake is simulated: it holds rows in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from loadtests.rollout.versions import FEATURES, START, loop_of, store_version
from loadtests.rollout.worlds import Rows, Weights
from services.retraining.ledger.engine import open_engine
from services.retraining.ledger.ledger import Ledger
from services.retraining.ledger.watches import Watch
from services.retraining.metrics import RetrainingMetrics
from services.retraining.rollout.release_checks import LOOP
from services.retraining.rollout.release_watch import ReleaseWatch
from services.retraining.rollout.releaser import Releaser
from services.retraining.watch.blocks import BLOCKS_PER_WATCH
from shared.contracts.lake_schema import TIMESTAMP, feature_column
from shared.contracts.loop_spec import LoopSpec
from shared.grafana.annotator import NoAnnotator
from shared.models.runners.loading import load_model
from shared.models.runners.model_runner import ModelRunner
from shared.models.signed_versions.installation_keys import ensure_keys
from shared.stores.lake import AnsweredGeneration, Lake
from shared.stores.model_store import open_model_store

PER_BLOCK = 100
HOURS = BLOCKS_PER_WATCH  # blocks of an hour
# Between two releases of a model.
APART = timedelta(hours=3 * HOURS)


@dataclass(frozen=True)
class MemoryLake(Lake):
    """The rows that one generation answered, evenly spread over the watch from `begin` on."""

    held: dict[str, Any] = field(default_factory=dict)

    def hold(self, generation: int, begin: datetime, rows: Rows, weights: Weights) -> None:
        """Forget the rows held before."""
        step = timedelta(hours=HOURS) / len(rows.outcomes)
        times = [begin + step * row for row in range(len(rows.outcomes))]
        columns = {"event_time": pa.array(times, TIMESTAMP), "generation": [generation] * len(times)}
        columns |= {"score": rows.scores(weights), "outcome": rows.outcomes}
        columns |= {feature_column(name): rows.features[:, place] for place, name in enumerate(FEATURES)}
        self.held["rows"] = pa.table(columns)
        # Predictions go on after the watch.
        self.held["latest"] = begin + timedelta(hours=HOURS + 2)

    def latest_event_time(self, model: str) -> datetime | None:
        """See Lake."""
        latest: datetime = self.held["latest"]
        return latest

    def generations(self, model: str, after: int) -> list[AnsweredGeneration]:
        """See Lake."""
        rows = self.held["rows"]
        return [AnsweredGeneration(rows["generation"][0].as_py(), "", rows["event_time"][0].as_py())]

    def event_times(self, model: str, generation: int, since: datetime) -> pa.ChunkedArray:
        """See Lake: the former version answered nothing since then."""
        return pa.chunked_array([], TIMESTAMP)

    def read_joined(self, model: str, start: datetime, end: datetime, *args: Any, **more: Any) -> pa.Table:
        """See Lake."""
        rows = self.held["rows"]
        times = np.asarray(rows["event_time"].to_numpy())
        edges = np.array([moment.replace(tzinfo=None) for moment in (start, end)], times.dtype)
        first, last = (int(place) for place in np.searchsorted(times, edges))
        return rows.slice(first, last - first)


class Simulation:
    """A store, a ledger and a watch below `root`. `looks`: how often each watched release is looked at."""

    def __init__(self, root: Path, looks: int) -> None:
        self._root = root
        self._keys = ensure_keys(root / "home")
        self._store = open_model_store((root / "models").as_uri(), self._keys)
        self._ledger = Ledger(open_engine(f"sqlite:///{root / 'ledger.sqlite'}"))
        self._lake = MemoryLake("memory")
        self._now = START
        self._looks = looks
        metrics = RetrainingMetrics()
        self._releaser = Releaser(self._store, self._ledger, metrics, NoAnnotator(), lambda: self._now)
        self._watch = ReleaseWatch(
            self._store,
            self._lake,
            self._keys,
            self._ledger.watches,
            self._releaser,
            metrics,
            lambda: self._now,
            open_model=_open,
            verify=lambda *_: None,
        )

    def versions(self, model: str, weights: Sequence[Weights]) -> list[str]:
        """Store versions of a new model, and deploy the first one."""
        spec = loop_of(model, HOURS)
        made = [
            store_version(self._root / model / str(place), self._store, self._keys, spec, one)
            for place, one in enumerate(weights)
        ]
        self._releaser.deploy(model, made[0], "bench")
        return made

    def served(self, model: str) -> str:
        """The version that is live: what an endpoint that follows the log answers with."""
        release = self._store.live_release(model)
        assert release is not None
        return release.version

    def watch(self, model: str, version: str, rows: Rows, weights: Weights) -> Watch:
        """Promote a version, let it answer `rows`, and look until its watch has ended."""
        begin = self._now + APART
        self._now = begin
        release = self._releaser.promote(
            model,
            version=version,
            champion=self.served(model),
            actor=LOOP,
            run_id=f"run-{model}-{begin:%Y%m%d%H}",
            cause_key="bench",
            note="",
        )
        self._lake.hold(release.generation, begin, rows, weights)
        for look in range(1, self._looks + 1):
            self._now = begin + timedelta(hours=1) + timedelta(hours=HOURS) * look / self._looks
            watch = self._watch.look(model)
            if watch is None or watch.state != "watching":
                break
        found = self._ledger.watches.find(model, release.generation)
        assert found is not None
        return found

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()


@contextmanager
def _open(path: Path, spec: LoopSpec, doing: str) -> Iterator[ModelRunner]:
    """In this process: the models of the bench are its own."""
    yield load_model(path, spec)
