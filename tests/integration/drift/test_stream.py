"""Stream detection as it runs: real Kafka, the real process; verdicts within seconds, before any window is complete."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import KafkaProducer

from local_stack.kafka.broker import Broker
from shared.contracts.manifest import Manifest
from shared.contracts.topics import PREDICTIONS
from shared.contracts.verdict import SCHEDULED
from shared.messaging.record_mac import RecordMac
from shared.models.signed_versions.key_files import record_secrets
from tests.fakes.prediction_stream import PredictionStream
from tests.integration.drift.processes import Process, Start, eventually, published
from tests.unit.services.drift.world import World, loop, minutes, ordinary
from tests.waiting import bound

ROWS = 100  # of a record


class Feed:
    """Sends rows to the predictions topic and, as the sink does, into the lake."""

    def __init__(self, world: World, broker: Broker, manifest: Manifest, generation: int = 1) -> None:
        self.world, self.manifest, self.generation = world, manifest, generation
        self.stream = self.writer(RecordMac(record_secrets(world.keys.prediction_log)))
        self.producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")

    def writer(self, mac: RecordMac) -> PredictionStream:
        manifest = self.manifest
        return PredictionStream(manifest.model, manifest.version, manifest.features, self.generation, mac)

    def send(self, columns: Mapping[str, Any], *, lake: bool = True) -> None:
        """Send the rows in records of a hundred."""
        count = len(columns["event_time"])
        for first in range(0, count, ROWS):
            part = {name: values[first : first + ROWS] for name, values in columns.items()}
            self.put(*self.stream.record(self.stream.batch(part)))
        if lake:
            self.world.answer(self.manifest, self.generation, columns, delay=None)

    def put(self, key: bytes, value: bytes, headers: Any) -> None:
        self.producer.send(PREDICTIONS.name, key=key, value=value, headers=headers).get(timeout=bound(30))


@contextmanager
def feeding(world: World, broker: Broker) -> Iterator[Callable[[str], Feed]]:
    """Makes a feed of a model that it releases first."""
    made: list[Feed] = []

    def make(model: str) -> Feed:
        manifest = world.version(loop(model=model), ordinary(5000, 1), model)
        world.release(manifest)
        made.append(Feed(world, broker, manifest))
        return made[-1]

    try:
        yield make
    finally:
        for feed in made:
            feed.producer.close()


@pytest.fixture
def feeds(world: World, kafka_broker: Broker) -> Iterator[Callable[[str], Feed]]:
    with feeding(world, kafka_broker) as make:
        yield make


@dataclass
class Shared:
    """One process for the tests that start it alike, each with a model of its own."""

    feeds: dict[str, Feed]
    drift: Process


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, kafka_broker: Broker) -> Iterator[Shared]:
    world = World(tmp_path_factory.mktemp("stream"))
    with feeding(world, kafka_broker) as make:
        feeds = {model: make(model) for model in ("all_null", "shifted", "attacked")}
        drift = Process(world.home, kafka_broker.bootstrap)
        try:
            wait_until_it_reads(drift)
            yield Shared(feeds, drift)
        finally:
            drift.end()


def wait_until_it_reads(drift: Process) -> None:
    series = "homeostat_drift_stream_last_poll_timestamp_seconds"
    eventually(lambda: drift.metrics().get(series, 0) > 0, "the stream is read")


def test_feature_turned_null_is_a_data_fault_at_once(kafka_broker: Broker, shared: Shared) -> None:
    feed, drift = shared.feeds["all_null"], shared.drift
    feed.send(ordinary(300, 2), lake=False)
    broken = ordinary(200, 3, start=minutes(50))
    broken["x"] = [None] * 200
    begun = time.monotonic()
    feed.send(broken, lake=False)
    [(verdict, _)] = published(kafka_broker, "all_null", 1)
    took = time.monotonic() - begun
    print(f"verdict on the topic {took:.2f} s after the first broken record was sent")
    assert (verdict.detector, verdict.state, verdict.top_drifted_features) == (
        "stream",
        "data_fault",
        ("x",),
    )
    assert verdict.outcomes == 0
    assert verdict.onset is not None
    assert minutes(40) <= verdict.onset <= minutes(60)
    assert took < bound(10)
    assert drift.metrics()['homeostat_drift_state{model="all_null",state="data_fault"}'] == 1


def test_shifted_feature_is_drift_once_evidently_agrees(kafka_broker: Broker, shared: Shared) -> None:
    feed, drift = shared.feeds["shifted"], shared.drift
    feed.send(ordinary(200, 2))
    late = ordinary(150, 3, start=minutes(34), shift=1.0)
    feed.send(late, lake=False)
    alarms = 'homeostat_drift_stream_alarms_total{model="shifted",signal="feature"}'
    eventually(lambda: drift.metrics().get(alarms), "an alarm")
    assert drift.get("/verdicts?model=shifted")["verdicts"] == [], "it waits for the rows in the lake"
    begun = time.monotonic()
    feed.world.answer(feed.manifest, 1, late, delay=None)
    [(verdict, _)] = published(kafka_broker, "shifted", 1)
    print(f"verdict on the topic {time.monotonic() - begun:.2f} s after the lake had the rows")
    assert (verdict.detector, verdict.state, verdict.drifted, verdict.top_drifted_features) == (
        "stream", "drift", ("feature",), ("x",)
    )  # fmt: skip
    methods = {score.method for score in verdict.scores if score.feature == "x" and score.exceeded}
    assert "wasserstein" in methods, "what Evidently measured"
    assert "location_evidence" in methods, "what the detector saw"
    assert verdict.onset is not None
    assert minutes(30) <= verdict.onset <= minutes(40)
    assert verdict.window_end < minutes(60), "before the window closed"
    metrics = drift.metrics()
    assert metrics['homeostat_drift_stream_conclusions_total{conclusion="confirmed",model="shifted"}'] == 1
    assert metrics['homeostat_drift_state{model="shifted",state="drift"}'] == 1


def test_killed_service_raises_the_same_alarms(
    world: World, kafka_broker: Broker, start: Start, feeds: Callable[[str], Feed]
) -> None:
    """Two models get the same rows; while the second one's are read, the service is killed. Both get the same verdicts."""
    broken = ordinary(400, 3, start=minutes(50))
    broken["x"] = [None if row > 150 else value for row, value in enumerate(broken["x"])]  # type: ignore[arg-type, var-annotated]
    spoiled = ordinary(200, 4, start=minutes(117))
    spoiled["c"] = [None] * 200
    found = {}
    fed = {model: feeds(model) for model in ("calm", "killed")}
    drift = start(kafka_broker.bootstrap)
    wait_until_it_reads(drift)
    for model, feed in fed.items():
        for number, columns in enumerate((ordinary(300, 2), broken, spoiled)):
            feed.send(columns, lake=False)
            if model == "killed" and number == 1:
                drift.end(signal.SIGKILL)
                drift = start(kafka_broker.bootstrap)
        records = [verdict for verdict, _ in published(kafka_broker, model, 2, after_kill=True)]
        found[model] = [
            (one.state, one.window_start, one.window_end, one.rows, one.top_drifted_features, one.scores)
            for one in records
        ]
    assert drift.end() == 0
    assert len(found["calm"]) == 2
    assert found["killed"] == found["calm"]


def test_refused_records_change_nothing_and_stop_nothing(shared: Shared) -> None:
    feed, drift = shared.feeds["attacked"], shared.drift

    def counts() -> dict[str, float]:
        name = "homeostat_drift_stream_records_total"
        found = {series: value for series, value in drift.metrics().items() if series.startswith(name)}
        return {series.split('"')[1]: value for series, value in found.items()}

    def results() -> dict[str, float]:
        return {
            result: value - before.get(result, 0)
            for result, value in counts().items()
            if value > before.get(result, 0)
        }

    before = counts()
    key, value, headers = feed.stream.record(feed.stream.batch(ordinary(5, 1)))
    stranger = feed.writer(RecordMac([b"s" * 32]))
    noise = feed.stream.mac.header(PREDICTIONS.name, key, b"noise", headers[:-1])
    other = feed.stream.record(feed.stream.batch(ordinary(5, 1)), model="nobody")
    feed.put(*stranger.record(stranger.batch(ordinary(5, 1))))
    feed.put(key, b"noise", [*headers[:-1], noise])
    feed.put(key, value, [])
    feed.put(*other)
    feed.send(ordinary(100, 2), lake=False)

    eventually(lambda: results().get("counted"), "the good record is counted")
    assert results() == {
        "unauthenticated": 2, "undecodable": 1, "unknown_model": 1, "counted": 1
    }  # fmt: skip
    assert drift.metrics()['homeostat_drift_stream_rows_total{model="attacked"}'] == 100


def test_switched_off_the_windows_are_evaluated_all_the_same(
    world: World, kafka_broker: Broker, start: Start, feeds: Callable[[str], Feed]
) -> None:
    feed = feeds("off")
    (world.keys.prediction_log).unlink()  # nothing of it is needed
    drift = start(kafka_broker.bootstrap, HOMEOSTAT_DRIFT_STREAM="false")
    broken = ordinary(1000, 3)
    broken["x"] = [None] * 1000
    feed.send(broken)
    verdict = published(kafka_broker, "off", 1)[0][0]
    assert (verdict.state, verdict.top_drifted_features) == ("data_fault", ("x",))
    assert verdict.detector in SCHEDULED
    assert not any("drift_stream" in series for series in drift.metrics())
