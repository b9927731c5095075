"""The verdicts topic: one JSON record per verdict, keyed by model, with CloudEvents headers."""

from __future__ import annotations

import orjson

from shared.contracts.topics import VERDICTS
from shared.contracts.verdict import Verdict
from shared.errors import DependencyUnavailable
from shared.messaging.events import JSON, Event
from shared.messaging.interfaces import Producer

SOURCE = "homeostat/drift"


class KafkaVerdicts:
    """Sends verdicts one by one, so that their order on the topic is the order in which they were reached."""

    def __init__(self, producer: Producer, timeout_seconds: float) -> None:
        self._producer = producer
        self._timeout_seconds = timeout_seconds

    def send(self, verdict: Verdict) -> None:
        """Return once the broker has acknowledged it. Raises RecordRefused, or DependencyUnavailable and reconnects, so
        that a record still under way cannot overtake a later one."""
        event = Event(
            type=VERDICTS.event_type,
            source=SOURCE,
            model=verdict.model,
            event_id=verdict.verdict_id,
            time=verdict.reached_at,
            content_type=JSON,
        )
        try:
            delivery = self._producer.send(
                VERDICTS.name,
                verdict.model.encode(),
                orjson.dumps(verdict.model_dump(mode="json")),
                event.headers(),
            )
            delivery.result(self._timeout_seconds)
        except DependencyUnavailable:
            self._producer.reset()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._producer.close()
