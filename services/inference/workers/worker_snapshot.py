"""What a server process publishes for the others: its metrics and what it serves. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from prometheus_client.core import Metric


@dataclass(frozen=True)
class Family:
    """One metric: `samples` are name, labels and value of each series."""

    name: str
    documentation: str
    kind: str
    samples: list[tuple[str, dict[str, str], float]]


@dataclass(frozen=True)
class WorkerSnapshot:
    """`process` is unique to a process, also where its number is used again; `status` is its entry in `/status.json`."""

    process: str
    pid: int
    status: dict[str, Any] = field(default_factory=dict)
    families: list[Family] = field(default_factory=list)

    def dump(self) -> bytes:
        """As JSON."""
        return orjson.dumps(
            {
                "process": self.process,
                "pid": self.pid,
                "status": self.status,
                "families": [
                    [family.name, family.documentation, family.kind, family.samples]
                    for family in self.families
                ],
            }
        )

    @classmethod
    def load(cls, text: bytes) -> WorkerSnapshot:
        """From JSON."""
        document = orjson.loads(text)
        families = [
            # JSON has no NaN: a missing value is one.
            Family(
                name,
                documentation,
                kind,
                [(series, labels, math.nan if value is None else value) for series, labels, value in samples],
            )
            for name, documentation, kind, samples in document["families"]
        ]
        return cls(document["process"], document["pid"], document["status"], families)


def families_of(metrics: Iterable[Metric]) -> list[Family]:
    """The metrics of a registry as data."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            [(sample.name, dict(sample.labels), float(sample.value)) for sample in metric.samples],
        )
        for metric in metrics
    ]
