"""The spool: local append-only files an answer is written to before it is sent.

<root>/<writer>/writer.lock                       held by the process that writes here
                epoch                             the last epoch started
                <epoch>-<number>.spool            segments of framed records
                <epoch>.losses                    what had to be dropped
                checkpoint.json                   how far the shipper has got
"""

from __future__ import annotations

from shared.spool.record import Kind, OutcomeRecord, PredictionRecord, Record
from shared.spool.writer import SpoolStatistics, SpoolWriter

__all__ = ["Kind", "OutcomeRecord", "PredictionRecord", "Record", "SpoolStatistics", "SpoolWriter"]
