"""Outages, full spools, poison and a recreated topic, on the real broker."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from kafka import KafkaAdminClient

from local_stack.kafka.broker import Broker
from shared.contracts.topics import OUTCOMES, PREDICTIONS
from shared.messaging.producer import open_producer
from tests.fakes.log_processes import LogProcesses

OLDEST = "homeostat_shipper_oldest_row_age_seconds"
DELIVERED = "homeostat_shipper_last_delivery_timestamp_seconds"


@dataclass
class Outage:
    """Two installations that went through one outage. `oldest_age` and `delivered`: of the early one's shipper without Kafka."""

    early: LogProcesses
    full: LogProcesses
    oldest_age: float | None
    delivered: float | None
    ended: float


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory, kafka_broker: Broker) -> Iterator[Outage]:
    """Processes that start before Kafka, and others whose spool is full before it starts."""
    folder = tmp_path_factory.mktemp("outage")
    early = LogProcesses(folder / "early", kafka_broker.bootstrap)
    full = LogProcesses(folder / "full", kafka_broker.bootstrap, spool_bytes=200_000, rows_per_second=4000)
    kafka_broker.stop()
    try:
        early.start("load", "shipper", "sink")
        early.wait_for(lambda: len(early.listed("answered")) > 200, "answers without Kafka")
        early.wait_for(lambda: "round_failed" in early.output("shipper"), "the shipper says so")
        age = early.metric("shipper", OLDEST)
        delivered = early.metric("shipper", DELIVERED)
        full.start("load", "shipper", "sink")
        full.wait_for(lambda: len(full.listed("dropped")) > 500, "drops")
        begun = time.time()
        kafka_broker.start()
        yield Outage(early, full, age, delivered, begun)
    finally:
        for processes in (early, full):
            processes.close()
        if kafka_broker.pid is None:
            kafka_broker.start()


def test_full_spool_counts_every_dropped_row(outage: Outage) -> None:
    processes = outage.full
    answered = len(processes.listed("answered"))
    processes.wait_for(lambda: len(processes.listed("answered")) > answered, "the spool takes rows again")
    processes.stop("load")
    processes.wait_until_settled()
    processes.stop()
    processes.check_conservation(kills_of_load=0)


def test_processes_start_before_kafka(outage: Outage) -> None:
    processes = outage.early
    assert outage.oldest_age is not None
    assert 0 < outage.oldest_age < 120
    assert math.isnan(outage.delivered or 0)
    processes.stop("load")
    processes.wait_until_settled()
    assert outage.ended <= (processes.metric("shipper", DELIVERED) or 0) <= time.time()
    assert processes.metric("shipper", OLDEST) == 0
    for kind in ("predictions", "outcomes"):
        series = f'homeostat_sink_last_row_timestamp_seconds{{kind="{kind}",model="{processes.model}"}}'
        assert outage.ended - 120 <= (processes.metric("sink", series) or 0) <= time.time()
    processes.stop()
    processes.check_conservation(kills_of_load=0)


def test_poison_record_does_not_block_later_rows(processes: LogProcesses, kafka_broker: Broker) -> None:
    producer = open_producer(kafka_broker.bootstrap, "poisoner")
    processes.start("load", "shipper", "sink")
    marks = [f"{processes.model} {number}".encode() for number in range(50)]
    for mark in marks:
        for key in (b"a", b"b", b"c"):
            producer.send(PREDICTIONS.name, key, mark, [("mark", mark)]).result(10)
    producer.close()
    processes.wait_for(lambda: len(processes.in_lake()) > 0, "rows behind the poison")

    def buried() -> list[bytes]:
        table = processes.lake.open(processes.lake.dead_letters())
        values: list[bytes] = [] if table is None else table.to_pyarrow_table()["value"].to_pylist()
        return [value for value in values if value in marks]

    processes.wait_for(lambda: len(buried()) >= 150, "dead letters")
    processes.stop("load")
    processes.wait_until_settled()
    processes.stop()
    assert sorted(buried()) == sorted(marks * 3)
    processes.check_conservation(kills_of_load=0)


def test_recreated_topic_is_read_from_its_start(processes: LogProcesses, kafka_broker: Broker) -> None:
    processes.start("load", "shipper", "sink")
    processes.wait_for(lambda: len(processes.in_lake()) > 0, "first rows")
    processes.stop("load")
    processes.wait_until_settled()
    admin = KafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
    admin.delete_topics([PREDICTIONS.name, OUTCOMES.name])
    admin.close()
    time.sleep(1)
    kafka_broker.create_topics()
    before = len(processes.in_lake())
    processes.start("load")
    processes.wait_for(lambda: len(processes.in_lake()) > before, "rows of the new topic")
    processes.stop("load")
    processes.wait_until_settled()
    processes.stop()
    processes.check_conservation(kills_of_load=0)
