"""State changes: the first verdict of a series of drift or data faults is annotated in Grafana, the following ones are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.drift.verdicts.store import VerdictStore
from shared.contracts.manifest import short
from shared.contracts.verdict import State, Verdict

ANNOTATED: tuple[State, ...] = ("drift", "data_fault")
# `insufficient_data` and `warming_up` are not conclusive: they do not end a series.
CONCLUSIVE: tuple[State, ...] = ("ok", *ANNOTATED)


class Annotator(Protocol):
    """Adds annotations to Grafana; never blocks and never raises."""

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None: ...


@dataclass(frozen=True)
class StateChanges:
    """Detects whether a verdict begins a series. It reads the store, so a restart annotates nothing twice."""

    verdicts: VerdictStore
    annotator: Annotator

    def annotate(self, verdict: Verdict) -> None:
        """Annotate a stored verdict if its state is new. Raises OperatorError if the store cannot be read."""
        # Faulty inputs were annotated when the window closed.
        if verdict.state not in ANNOTATED or (verdict.detector, verdict.state) == (
            "performance",
            "data_fault",
        ):
            return
        before = self.verdicts.last_before(verdict, CONCLUSIVE)
        if before is not None and before.state == verdict.state and before.generation == verdict.generation:
            return
        state = verdict.state.replace("_", " ").capitalize()
        text = (
            f"{state} of {verdict.model}, version {short(verdict.version)}, in the window until "
            f"{verdict.window_end:%Y-%m-%d %H:%M} UTC. {verdict.explanation} (verdict {verdict.verdict_id})"
        )
        self.annotator.annotate(
            text, ("homeostat", verdict.state, f"model:{verdict.model}"), verdict.reached_at
        )
