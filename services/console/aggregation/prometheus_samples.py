"""Samples of Prometheus text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

PREDICTED_AT = "homeostat_inference_last_prediction_timestamp_seconds"
LAKE_ROW_AT = "homeostat_sink_last_row_timestamp_seconds"
SPOOL_BACKLOG = "homeostat_shipper_backlog_bytes"
OLDEST_ROW_AGE = "homeostat_shipper_oldest_row_age_seconds"
SPOOL_DROPPED = "homeostat_shipper_spool_dropped_rows"
SINK_LAG = "homeostat_sink_lag_records"
SINK_MISSING = "homeostat_sink_missing_rows_total"
SINK_DEAD_LETTERS = "homeostat_sink_dead_letters_total"
# Only these lines are parsed: a scrape has thousands.
READ = (
    *(PREDICTED_AT, LAKE_ROW_AT, SPOOL_BACKLOG, OLDEST_ROW_AGE, SPOOL_DROPPED),
    *(SINK_LAG, SINK_MISSING, SINK_DEAD_LETTERS),
)


class Samples:
    """The samples of one scrape that the console shows."""

    def __init__(self, samples: Sequence[Sample] = ()) -> None:
        self._samples = samples

    @classmethod
    def parse(cls, raw: bytes) -> Samples:
        """From a scrape. Raises ValueError if a line that is read cannot be parsed."""
        lines = (line for line in raw.decode(errors="replace").splitlines() if line.startswith(READ))
        families = text_string_to_metric_families("\n".join(lines))
        return cls(
            [sample for family in families for sample in family.samples if math.isfinite(sample.value)]
        )

    def of(self, name: str) -> list[Sample]:
        """All samples of a metric."""
        return [sample for sample in self._samples if sample.name == name]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of the sample with exactly these labels; None if there is none."""
        return next((sample.value for sample in self.of(name) if sample.labels == labels), None)

    def total(self, name: str) -> float | None:
        """The sum over all samples of a metric; None if there is none."""
        values = [sample.value for sample in self.of(name)]
        return sum(values) if values else None
