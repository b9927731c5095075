"""The spool: local append-only files; every answer is written here before it is returned.

<root>/<writer>/writer.lock                       locked by the process that writes here
                epoch                             the last epoch started
                <epoch>-<number>.spool            segments of framed records
                <epoch>.drops                     rows that were dropped
                checkpoint.json                   position of the shipper
"""

from __future__ import annotations

from shared.spool.record import Kind, OutcomeRecord, PredictionRecord, Record
from shared.spool.writer import SpoolStatistics, SpoolWriter

__all__ = ["Kind", "OutcomeRecord", "PredictionRecord", "Record", "SpoolStatistics", "SpoolWriter"]
