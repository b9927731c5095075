"""The Kafka topics, their partitions, and the CloudEvents types of their records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Of a record's value. Readers refuse larger ones before they look inside.
MAX_RECORD_BYTES: Final = 8 << 20


@dataclass(frozen=True)
class Topic:
    """A topic: `name`, number of `partitions`, CloudEvents `event_type` of its records, and `purpose`."""

    name: str
    partitions: int
    event_type: str
    purpose: str


PREDICTIONS = Topic(
    "homeostat.predictions",
    3,
    "homeostat.prediction.answered.v1",
    "every answered row, as Arrow record batches",
)
OUTCOMES = Topic(
    "homeostat.outcomes",
    3,
    "homeostat.outcome.received.v1",
    "every outcome received, as Arrow record batches",
)
VERDICTS = Topic(
    "homeostat.verdicts", 1, "homeostat.verdict.reached.v1", "the verdict on each window, as JSON"
)
DEAD_LETTERS = Topic(
    "homeostat.dead_letters",
    1,
    "homeostat.record.refused.v1",
    "records that could not be read or stored, unchanged, with the reason",
)

ALL = (PREDICTIONS, OUTCOMES, VERDICTS, DEAD_LETTERS)
