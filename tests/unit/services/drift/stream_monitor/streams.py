"""A version's profile and records about it, without a broker or a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.drift.evaluation.columns import rows_from_table
from services.drift.evaluation.reference_profile import build_reference
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream_monitor.profiles import NotWatched
from services.drift.stream_monitor.stream_state import StreamState
from shared.contracts.topics import PREDICTIONS
from shared.messaging.interfaces import Message, Partition
from shared.messaging.log_record import LogRecord, read_log_record
from shared.messaging.record_mac import RecordMac
from tests.fakes.prediction_stream import PredictionStream
from tests.unit.services.drift.world import loop, minutes, ordinary

MAC = RecordMac([b"k" * 32])
VERSION = "a" * 64


@cache
def profile() -> StreamProfile:
    """Of hourly windows with a row every ten seconds: tiles of six minutes."""
    reference = build_reference(VERSION, loop(), rows_from_table(pa.table(ordinary(5000, 1)), loop()))
    return StreamProfile.of(reference, 1.0)


@dataclass
class KnownVersions:
    """Every model but those `unknown` has this profile; `asked` remembers the look-ups."""

    unknown: frozenset[str] = frozenset()
    asked: list[tuple[str, int, str]] = field(default_factory=list)

    def get(self, model: str, generation: int, version: str) -> StreamProfile:
        self.asked.append((model, generation, version))
        if model in self.unknown:
            raise NotWatched("unknown_model")
        return profile()


def stream(model: str = "toy", generation: int = 1, writer: str = "") -> PredictionStream:
    """A writer of records about a generation."""
    writer = writer or f"writer-{generation}"
    return PredictionStream(model, VERSION, loop().features, generation, MAC, writer)


def message(source: PredictionStream, columns: Mapping[str, object], offset: int = 0) -> Message:
    """The record of these rows as the broker returns it."""
    key, value, headers = source.record(source.batch(columns))
    return Message(Partition(PREDICTIONS.name, 0), offset, key, value, headers, 1)


def records(source: PredictionStream, columns: Mapping[str, Any], rows: int) -> list[LogRecord]:
    """The columns as records of that many rows."""
    count = len(columns["event_time"])
    parts = [
        {name: values[first : first + rows] for name, values in columns.items()}
        for first in range(0, count, rows)
    ]
    return [read_log_record(message(source, part), maximum_bytes=1 << 20, mac=MAC) for part in parts]


def new_state(limit: int = 16, profiles: KnownVersions | None = None) -> StreamState:
    """Nothing was read yet."""
    return StreamState(profiles or KnownVersions(), limit)


def eventful(seed: int, rows: int = 1500) -> dict[str, object]:
    """Rows with changes at random times: a shift of x, a spell without c, a spell without x."""
    random = np.random.default_rng(seed)
    columns = ordinary(rows, seed, start=minutes(float(random.integers(0, 50))))
    x: npt.NDArray[np.object_] = np.asarray(columns["x"]).astype(object)
    c: npt.NDArray[np.object_] = np.asarray(columns["c"]).astype(object)
    at, spell, other = (int(place) for place in random.integers(200, rows - 200, 3))
    x[at:] = x[at:] + 1.5
    c[spell : spell + 60] = None
    x[other : other + 80] = None
    return {**columns, "x": x.tolist(), "c": c.tolist()}
