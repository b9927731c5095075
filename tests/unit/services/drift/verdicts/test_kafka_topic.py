from __future__ import annotations

import orjson
import pytest

from services.drift.verdicts.kafka_topic import KafkaVerdicts
from shared.contracts.topics import VERDICTS
from shared.contracts.verdict import Verdict
from shared.errors import DependencyUnavailable
from shared.messaging.interfaces import RecordRefused
from tests.fakes.kafka import FakeBroker
from tests.unit.services.drift.verdicts.test_store import verdict


def test_a_verdict_is_a_record_of_its_model() -> None:
    broker = FakeBroker()
    KafkaVerdicts(broker.producer(), 1.0).send(verdict(60))
    [record] = broker.messages(VERDICTS.name)
    assert record.key == b"toy"
    assert Verdict.model_validate(orjson.loads(record.value)) == verdict(60)
    assert ("ce_id", verdict(60).verdict_id.encode()) in record.headers


def test_what_was_not_acknowledged_is_dropped_with_its_connection() -> None:
    broker = FakeBroker()
    producer = broker.producer()
    topic = KafkaVerdicts(producer, 1.0)
    broker.fail_next(1)
    with pytest.raises(DependencyUnavailable):
        topic.send(verdict(60))
    assert producer.resets == 1
    topic.send(verdict(60))
    assert (producer.resets, len(broker.messages(VERDICTS.name))) == (1, 1)


def test_a_verdict_the_broker_will_never_take_is_refused() -> None:
    broker = FakeBroker(maximum_bytes=10)
    with pytest.raises(RecordRefused):
        KafkaVerdicts(broker.producer(), 1.0).send(verdict(60))
