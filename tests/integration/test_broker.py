"""The local broker: real Kafka that keeps what it was given through a stop and through a kill."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from local_stack.kafka.admin import create_topics, topic_copies, wait_for_broker
from local_stack.kafka.broker import Broker, local_broker
from local_stack.kafka.class_archive import ClassArchive
from local_stack.kafka.config_files import BrokerFiles
from local_stack.ports import free_port
from local_stack.settings import LocalStackSettings
from shared.contracts import topics
from shared.errors import DependencyUnavailable, OperatorError
from tests.waiting import bound


def write(bootstrap: str, value: bytes) -> int:
    """Send one record to the verdicts topic; its offset."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    try:
        return int(producer.send(topics.VERDICTS.name, value=value).get(timeout=bound(30)).offset)
    finally:
        producer.close()


def read(bootstrap: str, offset: int) -> bytes:
    """The record of the verdicts topic at an offset."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, consumer_timeout_ms=20_000)
    try:
        partition = TopicPartition(topics.VERDICTS.name, 0)
        consumer.assign([partition])
        consumer.seek(partition, offset)
        return bytes(next(consumer).value)
    finally:
        consumer.close()


def test_topics_have_their_partitions(kafka_broker: Broker) -> None:
    consumer = KafkaConsumer(bootstrap_servers=kafka_broker.bootstrap)
    try:
        assert {topic.name: len(consumer.partitions_for_topic(topic.name)) for topic in topics.ALL} == {
            topic.name: topic.partitions for topic in topics.ALL
        }
    finally:
        consumer.close()


def test_creating_topics_again_changes_nothing(kafka_broker: Broker) -> None:
    offset = write(kafka_broker.bootstrap, b"before")
    kafka_broker.create_topics()
    assert read(kafka_broker.bootstrap, offset) == b"before"


def test_more_copies_than_brokers_are_an_error_with_a_hint(kafka_broker: Broker) -> None:
    wanted = topics.Topic("too_many_copies", 1, "none.v1", "none")
    with pytest.raises(DependencyUnavailable, match="did not create the topics") as error:
        create_topics(kafka_broker.bootstrap, [wanted], replication=3)
    assert "HOMEOSTAT_KAFKA_REPLICATION" in error.value.hint
    assert topic_copies(kafka_broker.bootstrap) == {topic.name: 1 for topic in topics.ALL}


def test_what_was_acknowledged_survives_stop_and_kill(kafka_broker: Broker) -> None:
    first = write(kafka_broker.bootstrap, b"one")
    kafka_broker.stop()
    assert kafka_broker.pid is None
    kafka_broker.start()
    second = write(kafka_broker.bootstrap, b"two")
    kafka_broker.kill()
    with pytest.raises(DependencyUnavailable):
        wait_for_broker(kafka_broker.bootstrap, deadline_s=0.5)
    kafka_broker.start()
    assert (read(kafka_broker.bootstrap, first), read(kafka_broker.bootstrap, second)) == (b"one", b"two")


def test_a_taken_port_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        broker = local_broker(
            BrokerFiles(tmp_path, port=port, controller_port=free_port()), LocalStackSettings()
        )
        with pytest.raises(OperatorError, match=f"port {port} .*taken.*HOMEOSTAT_BROKER_PORT"):
            broker.start()
    assert not broker.log.exists()


def test_broker_starts_from_an_archive_of_its_classes(kafka_broker: Broker) -> None:
    assert any(word.startswith("-XX:SharedArchiveFile=") for word in kafka_broker.command())
    assert "cds" not in kafka_broker.log.read_text()


def test_broker_does_without_an_archive_that_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Java itself ends with an error at an option that it does not know."""
    broker = local_broker(
        BrokerFiles(tmp_path, port=free_port(), controller_port=free_port()), LocalStackSettings()
    )

    @contextmanager
    def writing(_: ClassArchive) -> Iterator[tuple[str, ...]]:
        yield ("-XX:NoSuchOption",)

    monkeypatch.setattr(ClassArchive, "writing", writing)
    broker.prepare()
    assert broker.files.is_formatted
    assert "-XX:NoSuchOption" not in broker.command()
