"""Records of the predictions topic as the shipper sends them, made from columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from shared.contracts.feature import Feature
from shared.contracts.lake_schema import PREDICTION_COLUMNS, feature_column
from shared.contracts.topics import PREDICTIONS
from shared.messaging.arrow import CONTENT_TYPE, to_bytes
from shared.messaging.events import Event, Headers
from shared.messaging.record_mac import RecordMac

_TYPES = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "category": pa.string()}


@dataclass
class PredictionStream:
    """One writer's records about a generation of a version. `numbers`: the next row number."""

    model: str
    version: str
    features: Sequence[Feature]
    generation: int
    mac: RecordMac
    writer: str = "writer-0"
    epoch: int = 1
    numbers: int = field(default=0)

    def batch(self, columns: Mapping[str, object]) -> pa.RecordBatch:
        """The rows of `columns` (`event_time`, `score` and the features) under the next row numbers."""
        times: Sequence[datetime] = columns["event_time"]  # type: ignore[assignment]
        count = len(times)
        plain: dict[str, object] = {
            "prediction_id": [f"{self.writer}-{self.numbers + place}" for place in range(count)],
            "version": [self.version] * count,
            "generation": [self.generation] * count,
            "event_time": list(times),
            "answered_at": list(columns.get("answered_at", times)),  # type: ignore[call-overload]
            "writer": [self.writer] * count,
            "epoch": [self.epoch] * count,
            "sequence": list(range(self.numbers, self.numbers + count)),
            "score": np.asarray(columns["score"], dtype=np.float64),
            "traceparent": [""] * count,
        }
        self.numbers += count
        arrays = {name: pa.array(plain[name], PREDICTION_COLUMNS.field(name).type) for name in plain}
        for feature in self.features:
            values = pa.array(list(columns[feature.name]), _TYPES[feature.type], from_pandas=True)  # type: ignore[call-overload]
            # A column without values has no type, so a record does not have it.
            if values.null_count < count:
                arrays[feature_column(feature.name)] = values
        return pa.record_batch(arrays)

    def record(self, batch: pa.RecordBatch, **attributes: Any) -> tuple[bytes, bytes, Headers]:
        """Key, value and headers of the record that holds the batch."""
        key, value = self.writer.encode(), to_bytes(batch)
        event = Event.now(
            PREDICTIONS.event_type,
            source=self.writer,
            model=attributes.get("model", self.model),
            content_type=CONTENT_TYPE,
        )
        headers = event.headers()
        return key, value, [*headers, self.mac.header(PREDICTIONS.name, key, value, headers)]
