"""The whole log on a broker with memory: spool → shipper → broker → sink → lake, moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from services.prediction_log.metrics import ShipperMetrics, SinkMetrics
from services.prediction_log.shipper.shipper import Shipper
from services.prediction_log.sink.progress import TOPICS
from services.prediction_log.sink.sink import Sink
from shared.errors import HomeostatError
from shared.messaging.events import Headers
from shared.messaging.handling_journal import HandlingJournal
from shared.messaging.record_mac import AuthenticatingProducer, RecordMac
from shared.spool import SpoolWriter
from shared.stores.lake import Lake
from tests.fakes.kafka import FakeBroker, FakeConsumer, FakeProducer
from tests.fakes.memory_journal import MemoryJournal
from tests.fakes.rows import NOON

MAC = RecordMac([b"k" * 32])


@dataclass
class Log:
    """A spool, a broker, a lake, and the two processes between them."""

    home: Path
    broker: FakeBroker = field(default_factory=FakeBroker)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.spool = SpoolWriter.open(self.home / "spool", maximum_bytes=8 << 20)
        self.lake = Lake(str(self.home / "lake"))
        self.shipper_metrics = ShipperMetrics(self.registry)
        self.sink_metrics = SinkMetrics(self.registry)
        self.shipper, self.producer = self.new_shipper()
        self.sink, self.consumer = self.new_sink()

    def new_shipper(
        self, *, record_bytes: int = 900_000, batch_rows: int = 5000, drain_seconds: float = 0
    ) -> tuple[Shipper, FakeProducer]:
        """A shipper as after a start: it knows what is on disk and nothing else."""
        producer = self.broker.producer()
        shipper = Shipper(
            self.home / "spool",
            AuthenticatingProducer(producer, MAC),
            self.shipper_metrics,
            batch_rows=batch_rows,
            record_bytes=record_bytes,
            delivery_seconds=1,
            drain_seconds=drain_seconds,
        )
        return shipper, producer

    def new_sink(
        self,
        group: str = "sink",
        journal: HandlingJournal | None = None,
        commit_seconds: float = 0.001,
        **settings: Any,
    ) -> tuple[Sink, FakeConsumer]:
        """A sink as after a start."""
        consumer = self.broker.consumer(TOPICS, group)
        sink = Sink(
            consumer,
            AuthenticatingProducer(self.broker.producer(), MAC),
            self.lake,
            self.sink_metrics,
            MAC,
            MemoryJournal() if journal is None else journal,
            commit_seconds=commit_seconds,
            **settings,
        )
        return sink, consumer

    def put(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> None:
        """A record as a process of this installation may send it."""
        self.broker.put(topic, key, value, [*headers, MAC.header(topic, key, value, headers)])

    def drain(self) -> None:
        """Ship and sink until nothing moves any more."""
        while self.shipper.step():
            pass
        for _ in range(3):
            self.sink.step()

    def ship_badly(self) -> None:
        """A round of the shipper that is expected to fail."""
        with pytest.raises(HomeostatError):
            self.shipper.step()

    def predictions(self, model: str = "flights") -> pa.Table:
        """Every row of a model in the lake."""
        return self.lake.read_predictions(model, NOON - timedelta(days=1), NOON + timedelta(days=30))

    def ids(self, model: str = "flights") -> list[str]:
        """Ids in the lake, sorted as numbers."""
        return sorted(
            self.predictions(model)["prediction_id"].to_pylist(), key=lambda text: (len(text), text)
        )

    def dead_letters(self) -> list[dict[str, object]]:
        """The lake's dead letters."""
        table = self.lake.open(self.lake.dead_letters())
        return [] if table is None else table.to_pyarrow_table().to_pylist()

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value; 0 where nothing was counted yet."""
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.spool.close()


@pytest.fixture
def numbers() -> list[str]:
    """The ids of rows 0 to 9."""
    return [str(number) for number in range(10)]
