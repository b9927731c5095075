"""The full spool, where `HOMEOSTAT_INFERENCE_SPOOL_FULL=refuse`: calls whose rows it dropped are answered with an error."""

from __future__ import annotations

from collections.abc import Sequence

from services.inference.prediction.call import Call
from shared.errors import OperatorError


def calls_without_record(callers: Sequence[Sequence[Call]], kept: Sequence[bool]) -> list[Call]:
    """The calls of each record that was dropped; `callers`: the calls of each record. Calls are compared by identity."""
    return [call for calls, was_kept in zip(callers, kept, strict=True) if not was_kept for call in calls]


class SpoolFull(OperatorError):
    """The answer to such a call: 503. Its rows are dropped and counted: nothing may call the model for it again."""

    def __init__(self) -> None:
        super().__init__(
            "the spool is full, so the prediction cannot be logged",
            hint="retry when the shipper has caught up; HOMEOSTAT_INFERENCE_SPOOL_FULL=drop answers without logging",
        )
