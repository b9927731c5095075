"""Stream detection that processes share: whoever counts the rows, and whenever it is killed, the alarms are the same."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from services.drift.sharing.ownership import SharedModels
from services.drift.sharing.shards import SHARDS, shard_of
from services.drift.stream_monitor import snapshot as snapshots
from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.state_files import OneFile, ShardFiles, StateFiles
from services.drift.stream_monitor.state_parts import SNAPSHOT_SECONDS, UNCHANGED_SECONDS
from services.drift.stream_monitor.stream_monitor import StreamMonitor
from services.drift.stream_monitor.stream_state import StreamState
from services.drift.stream_monitor.suspicion import Suspicion
from shared.contracts.topics import PREDICTIONS
from tests.fakes.kafka import FakeBroker, FakeTopicReader
from tests.unit.services.drift.stream_monitor.streams import MAC, KnownVersions, eventful, stream
from tests.unit.services.drift.world import minutes, ordinary

MODELS = ("alpha", "beta", "gamma")
ALL = frozenset(range(SHARDS))
OWN = {model: shard_of(model) for model in MODELS}
ROWS = 50


@dataclass
class Replica:
    """A process: its memory is lost when it is killed, and its locks are released."""

    home: Path
    broker: FakeBroker
    seconds: list[float]
    shared: bool = True
    told: dict[str, Suspicion] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.models = SharedModels(self.home / "shards", streams=True)
        path = self.home / "stream.npz"
        files: StateFiles = ShardFiles(path, self.models) if self.shared else OneFile(path)
        self.registry, self.pending = CollectorRegistry(), PendingSuspicions()
        self.reader = FakeTopicReader(self.broker, PREDICTIONS.name)
        self.monitor = StreamMonitor(
            self.reader, StreamState(KnownVersions(), 16), self.pending, StreamMetrics(self.registry), MAC,
            files, clock=lambda: self.seconds[0], wall_clock=lambda: 1000.0,
        )  # fmt: skip
        assert self.monitor.begin()

    def follow(self, shards: frozenset[int]) -> None:
        """As membership and stream detection do, each in its thread."""
        self.models.follow(shards, 0.0)
        self.monitor.parts.follow()
        self.models.follow(shards, 0.0)
        self.monitor.parts.follow()

    def step(self) -> list[Suspicion]:
        if self.monitor.parts:
            self.monitor.step()
        return list(self.pending.all())

    def conclude(self) -> list[Suspicion]:
        """What the examiner would do: everything pending has its conclusion."""
        found = list(self.pending.all())
        for suspicion in found:
            self.pending.remove(suspicion)
        return found

    def kill(self) -> None:
        for shard in list(self.models._locks):
            os.close(self.models._locks.pop(shard))

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"homeostat_drift_stream_{name}", labels)


@dataclass
class Feed:
    """Rows of every model, record by record in turn."""

    broker: FakeBroker
    seed: int

    def __post_init__(self) -> None:
        self.sources = {model: stream(model, writer=f"writer-{model}") for model in MODELS}
        columns = {model: eventful(self.seed + place, rows=900) for place, model in enumerate(MODELS)}
        self.parts = [
            (model, {name: values[first : first + ROWS] for name, values in columns[model].items()})  # type: ignore[index]
            for first in range(0, 900, ROWS)
            for model in MODELS
        ]

    def __len__(self) -> int:
        return len(self.parts)

    def send(self, place: int) -> None:
        model, part = self.parts[place]
        self.broker.put(PREDICTIONS.name, *self.sources[model].record(self.sources[model].batch(part)))


def undisturbed(home: Path, seed: int) -> dict[str, Suspicion]:
    """What one process finds in all records."""
    broker = FakeBroker()
    alone, feed = Replica(home, broker, [0.0], shared=False), Feed(broker, seed)
    found: dict[str, Suspicion] = {}
    alone.step()
    for place in range(len(feed)):
        feed.send(place)
        found |= {one.subject.verdict_id: one for one in alone.step()}
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_alarms_are_those_of_one_process_after_any_handovers_and_kills(tmp_path: Path, seed: int) -> None:
    broker, seconds, random = FakeBroker(), [0.0], np.random.default_rng(seed)
    feed, homes = Feed(broker, seed), tmp_path / "shared"
    replicas = [Replica(homes, broker, seconds) for _ in range(2)]
    replicas[0].follow(ALL)
    replicas[0].step()
    assert all((homes / "shards" / f"stream-{shard}.npz").exists() for shard in ALL)
    found: dict[str, Suspicion] = {}
    concluded: list[str] = []
    for place in range(len(feed)):
        feed.send(place)
        seconds[0] += float(random.choice([0.0, SNAPSHOT_SECONDS]))
        for number, replica in enumerate(replicas):
            found |= {one.subject.verdict_id: one for one in replica.step()}
            if random.random() < 0.2:
                concluded += [one.subject.verdict_id for one in replica.conclude()]
                replica.monitor.save()
            if random.random() < 0.1:
                replica.kill()
                replicas[number] = Replica(homes, broker, seconds)
        if random.random() < 0.3:
            mine = frozenset(shard for shard in ALL if random.random() < 0.5)
            # Whoever gives shards up does so first: until then their locks are held.
            for replica, shards in [*zip(replicas, (mine, ALL - mine), strict=True)] * 2:
                replica.follow(shards)
        elif not all(replica.models.shards() for replica in replicas):
            for replica in replicas:
                replica.follow(ALL)  # after a kill: what is free is taken
    for _ in range(2):
        replicas[1].follow(frozenset())
        replicas[0].follow(ALL)
    found |= {one.subject.verdict_id: one for one in replicas[0].step()}
    expected = undisturbed(tmp_path / "alone", seed)
    assert len(expected) >= 3
    assert {one.model for one in expected.values()} == set(MODELS)
    assert found == expected


def test_records_of_others_are_skipped_and_counted_later_by_whoever_takes_over(tmp_path: Path) -> None:
    broker, seconds = FakeBroker(), [0.0]
    first, second = (Replica(tmp_path, broker, seconds) for _ in range(2))
    alpha = frozenset({OWN["alpha"]})
    first.follow(ALL)
    first.step()
    first.follow(ALL - alpha)
    second.follow(alpha)
    feed = Feed(broker, 1)
    for place in range(6):  # two records of each model
        feed.send(place)
    first.step()
    assert first.metric("rows_total", model="alpha") is None
    assert first.metric("rows_total", model="beta") == 2 * ROWS
    second.kill()  # before it read anything
    first.follow(ALL)
    first.step()
    assert first.metric("rows_total", model="alpha") == 2 * ROWS
    assert first.metric("rows_total", model="beta") == 2 * ROWS, "nothing is counted twice"
    assert first.metric("records_total", result="repeated") == 0, "nor decoded twice"


def test_series_and_suspicions_of_a_shard_that_is_given_up_go_with_it(tmp_path: Path) -> None:
    broker, seconds = FakeBroker(), [0.0]
    first, second = (Replica(tmp_path, broker, seconds) for _ in range(2))
    first.follow(ALL)
    first.step()
    broken = {**ordinary(100, 1, start=minutes(0)), "x": [None] * 100}
    for model in MODELS[:2]:
        source = stream(model)
        broker.put(PREDICTIONS.name, *source.record(source.batch(broken)))
    assert {one.model for one in first.step()} == set(MODELS[:2])
    alpha = frozenset({OWN["alpha"]})
    first.follow(ALL - alpha)
    assert [one.model for one in first.pending.all()] == ["beta"]
    assert first.metric("rows_total", model="alpha") is None
    assert first.metric("rows_total", model="beta") == 100
    second.follow(alpha)
    assert [one.model for one in second.pending.all()] == ["alpha"]
    assert {key[0] for key in second.monitor.state.stored} == {"alpha"}


def test_state_of_an_only_process_is_shared_out_and_then_removed(tmp_path: Path) -> None:
    broker, seconds = FakeBroker(), [0.0]
    alone, feed = Replica(tmp_path, broker, seconds, shared=False), Feed(broker, 1)
    alone.step()
    for place in range(3):
        feed.send(place)
    alone.step()
    alone.monitor.save()
    feed.send(3)
    shared = Replica(tmp_path, broker, seconds)
    shared.follow(ALL)
    shared.step()
    assert shared.metric("rows_total", model="alpha") == ROWS, "sent since the snapshot"
    assert {key[0] for key in shared.monitor.state.stored} == {"beta", "gamma"}
    seconds[0] += UNCHANGED_SECONDS
    feed.send(4)
    shared.step()
    assert not (tmp_path / "stream.npz").exists()
    seconds[0] += SNAPSHOT_SECONDS
    again = Replica(tmp_path, broker, seconds, shared=False)
    again.step()
    assert not list((tmp_path / "shards").glob("*.npz")), (
        "they would raise past alarms if they were used again"
    )


def test_unchanged_shard_is_stored_seldom(tmp_path: Path) -> None:
    broker, seconds = FakeBroker(), [0.0]
    replica, feed = Replica(tmp_path, broker, seconds), Feed(broker, 1)
    replica.follow(ALL)
    replica.step()

    def positions() -> dict[int, int]:
        loaded = [snapshots.load(tmp_path / "shards" / f"stream-{shard}.npz") for shard in sorted(ALL)]
        return {shard: sum(one.positions.values()) for shard, one in enumerate(loaded) if one}

    seconds[0] += SNAPSHOT_SECONDS
    feed.send(0)
    replica.step()
    assert positions() == {shard: int(shard == OWN["alpha"]) for shard in ALL}
    seconds[0] += UNCHANGED_SECONDS
    replica.step()
    assert set(positions().values()) == {1}


def test_shard_that_leaves_while_it_is_taken_over_is_stored_before_it_is_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Membership and stream detection are threads: a snapshot is read while the group decides anew."""
    first, second = (Replica(tmp_path, FakeBroker(), [0.0]) for _ in range(2))
    alpha, load = frozenset({OWN["alpha"]}), snapshots.load

    def decided_anew(path: Path) -> snapshots.Snapshot | None:
        first.models.follow(frozenset(), 0.0)
        second.models.follow(alpha, 0.0)
        return load(path)

    first.models.follow(alpha, 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(snapshots, "load", decided_anew)
        first.monitor.parts.follow()
    assert not second.models.shards(), "two processes would have the state"
    first.monitor.parts.follow()
    first.models.follow(frozenset(), 0.0)
    second.models.follow(alpha, 0.0)
    assert second.models.shards() == alpha
