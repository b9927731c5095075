"""States of the detectors of realised losses, each stored together with its position in event time and the verdict it led to.

So after a kill the same rows are counted once more into the state before them, or not at all, and an alarm has one verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import orjson

from services.drift.verdicts.store import VerdictStore
from shared.contracts.event_time import from_micros, to_micros
from shared.contracts.verdict import Verdict

# A change of what the arrays mean: states of other formats are not restored.
FORMAT = 1

Array = npt.NDArray[np.float64] | npt.NDArray[np.int64]


@dataclass(frozen=True)
class ErrorState:
    """`until`: end of the event time that was counted. `arrays`: of the detector; empty before its first row."""

    until: datetime
    arrays: dict[str, Array]


@dataclass(frozen=True)
class ErrorStates:
    """The table `error_detectors` of the verdict store."""

    store: VerdictStore

    def get(self, model: str, generation: int, columns: int) -> ErrorState | None:
        """The state of a generation, None where there is none. One of another format, or for another number of bets than
        `columns`, has its position only: the detector starts anew there."""
        with self.store.transaction() as cursor:
            row = cursor.execute(
                "SELECT until, state FROM error_detectors WHERE model = ? AND generation = ?",
                (model, generation),
            ).fetchone()
        if row is None:
            return None
        document = orjson.loads(row[1])
        arrays = {
            name: np.array(values, np.dtype(kind))
            for name, (kind, values) in document.get("arrays", {}).items()
        }
        fits = document.get("format") == FORMAT and all(
            array.size == columns for name, array in arrays.items() if name != "rows"
        )
        return ErrorState(from_micros(int(row[0])), arrays if fits else {})

    def put(self, model: str, generation: int, state: ErrorState, verdict: Verdict | None = None) -> bool:
        """Store a state, and the verdict of its alarm; whether the verdict is new. Durable when this returns."""
        arrays = {name: (str(array.dtype), array.tolist()) for name, array in state.arrays.items()}
        text = orjson.dumps({"format": FORMAT, "arrays": arrays}).decode()
        with self.store.transaction() as cursor:
            new = verdict is not None and self.store.insert(cursor, verdict)
            cursor.execute(
                "INSERT INTO error_detectors (model, generation, until, state) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (model, generation) DO UPDATE SET until = excluded.until, state = excluded.state",
                (model, generation, to_micros(state.until), text),
            )
        return new
