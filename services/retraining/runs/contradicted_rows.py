"""Rows whose outcomes contradict each other. Many of them may be poisoned: nothing is trained on them then, or judged by them."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from shared.contracts.loop_spec import LoopSpec
from shared.stores.contradiction_limit import contradiction_limit
from shared.stores.contradictions import count_senders, senders_text

# No feature can be named like it.
SENDERS: Final = "(senders)"
# How often chance alone makes honest corrections too many.
FALSE_ALARMS: Final = 1e-4


class MarkedRows:
    """Which rows have contradicting outcomes, and who sent those; a bit for each row, however many there are."""

    def __init__(self) -> None:
        self._sound: list[pa.Array] = []
        self._senders: list[pa.Array] = []
        self.rows = 0
        self.contradicted = 0

    def append(self, senders: pa.ChunkedArray) -> None:
        """`senders`: of each further row, as `Lake.read_joined` marks them."""
        self._sound += pc.is_null(senders).chunks
        self._senders += senders.drop_null().chunks
        self.rows += len(senders)
        self.contradicted += len(senders) - senders.null_count

    @property
    def sound(self) -> pa.ChunkedArray:
        """Of each row, whether no outcome contradicts another one."""
        return pa.chunked_array(self._sound, pa.bool_())

    def excess(self, spec: LoopSpec) -> str:
        """Says that too many rows have contradicting outcomes, and who sent them; empty if they are within the tolerance."""
        tolerated = spec.require_performance().outcome.contradictions
        if not self.contradicted or self.contradicted / self.rows <= contradiction_limit(
            self.rows, tolerated, FALSE_ALARMS
        ):
            return ""
        senders = [one for chunk in self._senders for one in chunk.to_pylist()]
        return (
            f"{self.contradicted} of {self.rows} outcomes contradict another one of the same prediction; "
            f"outcome.contradictions is {tolerated:g}; they were sent by {senders_text(count_senders(senders))}"
        )


def excess_contradictions(senders: pa.ChunkedArray, spec: LoopSpec) -> str:
    """`MarkedRows.excess` of these rows."""
    rows = MarkedRows()
    rows.append(senders)
    return rows.excess(spec)
