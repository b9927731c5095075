"""The reading loop on a broker with memory: where it begins, what it keeps, and what nothing can stop."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

import pytest
from prometheus_client import CollectorRegistry

from services.drift.stream_monitor import snapshot as snapshots
from services.drift.stream_monitor.metrics import StreamMetrics
from services.drift.stream_monitor.pending import PendingSuspicions
from services.drift.stream_monitor.state_files import OneFile
from services.drift.stream_monitor.state_parts import SNAPSHOT_SECONDS
from services.drift.stream_monitor.stream_monitor import StreamMonitor, log_mismatch
from services.drift.stream_monitor.stream_state import StreamState
from shared.contracts.topics import PREDICTIONS
from shared.messaging.record_mac import RecordMac
from tests.fakes.kafka import FakeBroker, FakeTopicReader
from tests.fakes.prediction_stream import PredictionStream
from tests.unit.services.drift.stream_monitor.streams import MAC, KnownVersions, stream
from tests.unit.services.drift.world import minutes, ordinary

NAME = "homeostat_drift_stream"


@dataclass
class Service:
    """A monitor on a broker with memory; `start` begins again from what is on disk."""

    home: Path
    broker: FakeBroker = field(default_factory=FakeBroker)
    limit: int = 16
    seconds: float = 0.0

    @property
    def path(self) -> Path:
        return self.home / "drift" / "stream.npz"

    def start(self) -> Service:
        self.registry = CollectorRegistry()
        self.pending = PendingSuspicions()
        self.reader = FakeTopicReader(self.broker, PREDICTIONS.name)
        self.monitor = StreamMonitor(
            self.reader,
            StreamState(KnownVersions(frozenset({"nobody"})), self.limit, log_mismatch),
            self.pending,
            StreamMetrics(self.registry),
            MAC,
            OneFile(self.path),
            clock=lambda: self.seconds,
            wall_clock=lambda: 1000.0,
        )
        assert self.monitor.begin()
        self.monitor.step()
        return self

    def send(self, source: PredictionStream, columns: dict[str, object]) -> None:
        self.broker.put(PREDICTIONS.name, *source.record(source.batch(columns)))

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"{NAME}_{name}", labels) or 0.0


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path).start()


def broken(start: int) -> dict[str, object]:
    columns = ordinary(100, start, start=minutes(start))
    columns["x"] = [None] * 100
    return columns


def test_rows_are_counted_and_shown(service: Service) -> None:
    service.send(stream(), ordinary(300, 1))
    assert service.monitor.step() == 1
    assert service.metric("records_total", result="counted") == 1
    assert service.metric("rows_total", model="toy") == 300
    assert service.metric("newest_event_timestamp_seconds", model="toy") == minutes(299 / 6).timestamp()
    assert 0 < service.metric("evidence_ratio", model="toy", signal="feature") < 1
    assert service.metric("false_alarms_expected_total", model="toy") > 0
    assert service.metric("last_poll_timestamp_seconds") == 1000.0
    assert service.metric("event_to_metric_seconds_count") == 1
    assert service.metric("generations") == 1


def test_late_rows_are_counted_by_what_became_of_them(service: Service) -> None:
    source = stream()
    for start in (600, 590, 100):
        service.send(source, ordinary(60, 1, start=minutes(start)))
        service.monitor.step()
    service.send(source, ordinary(60, 1, start=minutes(585)))
    service.monitor.step()
    assert service.metric("late_rows_total", model="toy", result="left_out") == 60
    assert service.metric("late_rows_total", model="toy", result="counted") > 0


def test_alarm_is_stored_before_it_is_handed_over(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = []

    def add(suspicions: list[object]) -> None:
        found = snapshots.load(service.path)
        assert found is not None
        stored.append((found.suspicions, found.positions))

    monkeypatch.setattr(service.pending, "add", add)
    service.send(stream(), broken(0))
    service.monitor.step()
    [(suspicions, positions)] = stored
    assert [one.state for one in suspicions] == ["data_fault"], "a process that starts now knows the alarm"
    assert sum(positions.values()) == 1, "and does not count its rows again"


def test_after_a_kill_reading_goes_on_and_pending_suspicions_are_kept(service: Service) -> None:
    source = stream()
    service.send(source, broken(0))
    service.monitor.step()
    [suspicion] = service.pending.all()
    service.send(source, ordinary(20, 2, start=minutes(20)))
    service.monitor.step()
    again = Service(service.home, service.broker).start()
    assert again.pending.all() == (suspicion,)
    assert again.metric("records_total", result="counted") == 1, "read again since the snapshot"
    assert again.metric("rows_total", model="toy") == 20


def test_first_snapshot_is_written_before_the_first_record(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.broker.put(PREDICTIONS.name, *stream("old").record(stream("old").batch(ordinary(5, 1))))
    service.start()
    assert service.metric("records_total", result="counted") == 0, "what was there before is not read"
    service.send(stream(), ordinary(20, 2))
    again = Service(tmp_path, service.broker).start()
    assert again.metric("rows_total", model="toy") == 20, "sent while no process ran"


@pytest.mark.parametrize("damage", [b"", b"noise", b"PK\x03\x04 half an archive"])
def test_damaged_snapshot_means_new_records_only(service: Service, damage: bytes) -> None:
    service.send(stream(), ordinary(20, 2))
    service.monitor.step()
    service.path.write_bytes(damage)
    again = Service(service.home, service.broker).start()
    assert again.reader.seeks == [None]
    assert again.metric("records_total", result="counted") == 0


def test_recreated_topic_means_new_records_only(service: Service) -> None:
    service.send(stream(), broken(0))
    service.monitor.step()
    [suspicion] = service.pending.all()
    service.monitor.save()
    service.broker.recreate(PREDICTIONS.name)
    again = Service(service.home, service.broker).start()
    assert again.reader.seeks == [None]
    assert again.monitor.state.generations == {}
    assert again.pending.all() == (suspicion,), "its rows are in the lake"
    again.broker.recreate(PREDICTIONS.name)
    again.monitor.save()
    assert again.reader.seeks == [None, None], "also while it runs"
    assert again.monitor.parts.identity == again.broker.identity(PREDICTIONS.name)


def test_snapshots_are_written_now_and_then(service: Service) -> None:
    service.send(stream(), ordinary(20, 2))
    service.monitor.step()
    before = service.path.read_bytes()
    service.monitor.step()
    assert service.path.read_bytes() == before
    service.seconds += SNAPSHOT_SECONDS
    service.monitor.step()
    assert service.path.read_bytes() != before


def test_alarm_waits_for_a_snapshot_that_cannot_be_written(service: Service) -> None:
    """After a kill the records would be read again, and could raise another alarm than the one that was seen."""
    folder = service.path.parent
    service.path.unlink()
    folder.rmdir()
    folder.write_bytes(b"in the way")
    service.send(stream(), broken(0))
    service.monitor.step()
    service.monitor.step()
    assert service.pending.all() == ()
    assert service.metric("snapshot_failures_total") == 1
    assert service.metric("rows_total", model="toy") == 100, "reading goes on"
    folder.unlink()
    service.seconds += SNAPSHOT_SECONDS
    service.monitor.step()
    [suspicion] = service.pending.all()
    service.monitor.step()
    assert service.pending.all() == (suspicion,)
    again = Service(service.home, service.broker).start()
    assert again.pending.all() == (suspicion,)


def test_every_snapshot_keeps_the_suspicions_that_are_pending(service: Service) -> None:
    source = stream()
    service.send(source, broken(0))
    service.monitor.step()
    [suspicion] = service.pending.all()
    service.send(source, ordinary(20, 2, start=minutes(20)))
    service.seconds += SNAPSHOT_SECONDS
    service.monitor.step()
    again = Service(service.home, service.broker).start()
    assert again.metric("records_total", result="counted") == 0, "the second snapshot was written"
    assert again.pending.all() == (suspicion,)


def test_reading_goes_on_from_memory_after_an_unknown_error(service: Service) -> None:
    """The loop is begun again; the snapshot is older than what is in memory."""
    source = stream()
    service.send(source, ordinary(20, 2))
    service.monitor.step()
    seeks = list(service.reader.seeks)
    assert service.monitor.begin()
    assert service.reader.seeks == seeks
    service.send(source, ordinary(20, 2, start=minutes(20)))
    service.monitor.step()
    assert service.metric("records_total", result="counted") == 2
    assert service.metric("records_total", result="repeated") == 0


@pytest.mark.parametrize("timestamp", [-1, 10**18, -(10**18)])
def test_time_of_a_record_that_nobody_vouches_for_ends_nothing(service: Service, timestamp: int) -> None:
    service.send(stream(), ordinary(20, 2))
    forger = PredictionStream("toy", "a" * 64, stream().features, 1, RecordMac([b"s" * 32]))
    service.broker.put(PREDICTIONS.name, *forger.record(forger.batch(ordinary(5, 1))))
    for place in service.broker.places(PREDICTIONS.name):
        log = service.broker.log(place)
        log[:] = [replace(message, timestamp=timestamp) for message in log]
    assert service.monitor.step() == 2
    assert service.metric("rows_total", model="toy") == 20
    assert service.metric("event_to_metric_seconds_count") == 1, "of the authenticated record"
    assert service.metric("event_to_metric_seconds_sum") in (0.0, 1000.0)
    assert service.monitor.last_record is not None
    assert service.monitor.last_record.timestamp() in (0.0, 1000.0)


def test_refused_records_change_nothing(service: Service) -> None:
    source = stream()
    key, value, headers = source.record(source.batch(ordinary(5, 1)))
    stranger = PredictionStream(source.model, source.version, source.features, 1, RecordMac([b"s" * 32]))
    put = service.broker.put
    put(PREDICTIONS.name, *stranger.record(stranger.batch(ordinary(5, 1))))
    put(PREDICTIONS.name, key, value, [])
    put(PREDICTIONS.name, key, b"x" * (9 << 20), headers)
    noise = [*headers[:-1], MAC.header(PREDICTIONS.name, key, b"noise", headers[:-1])]
    put(PREDICTIONS.name, key, b"noise", noise)
    put(PREDICTIONS.name, *stream("nobody").record(stream("nobody").batch(ordinary(5, 1))))
    colour = source.batch(ordinary(5, 1))
    put(PREDICTIONS.name, *source.record(colour.append_column("colour", colour["score"])))
    assert service.monitor.step() == 6
    expected = {"unauthenticated": 2, "oversize": 1, "undecodable": 1, "unknown_model": 1, "flawed": 1}
    assert {name: service.metric("records_total", result=name) for name in expected} == expected
    assert service.monitor.state.generations == {}
    service.send(stream(writer="good"), ordinary(20, 2))
    service.monitor.step()
    assert service.metric("rows_total", model="toy") == 20


def test_unknown_error_of_a_record_stops_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    add = service.monitor.state.add
    calls = []

    def fail_once(record: object) -> object:
        calls.append(record)
        if len(calls) == 1:
            raise RuntimeError("nobody foresaw this")
        return add(record)  # type: ignore[arg-type]

    monkeypatch.setattr(service.monitor.state, "add", fail_once)
    source = stream()
    service.send(source, ordinary(20, 1))
    service.send(source, ordinary(20, 1))
    service.monitor.step()
    assert service.metric("records_total", result="failed") == 1
    assert service.metric("rows_total", model="toy") == 20


def test_without_broker_it_waits_and_ends_on_request(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.broker.down = True
    with pytest.raises(AssertionError):
        service.start()
    stop = Event()
    stop.set()
    service.monitor.run(stop)
    assert not service.path.exists()
