"""Streaks: verdicts in a row that say drift, or fault. The first of each is marked in Grafana, the others are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.drift.verdicts.store import VerdictStore
from shared.contracts.manifest import short
from shared.contracts.verdict import State, Verdict

MARKED: tuple[State, ...] = ("drift", "data_fault")
# `insufficient_data` and `warming_up` saw too little to speak for or against: a streak goes on over them.
TELLING: tuple[State, ...] = ("ok", *MARKED)


class Annotator(Protocol):
    """Marks moments; never blocks and never raises."""

    def annotate(self, text: str, tags: Sequence[str], at: datetime | None = None) -> None: ...


@dataclass(frozen=True)
class Streaks:
    """Looks whether a verdict begins a streak. What is stored decides, so a restart marks nothing twice."""

    verdicts: VerdictStore
    annotator: Annotator

    def note(self, verdict: Verdict) -> None:
        """A new verdict of an examination is stored. Raises OperatorError where the store cannot be read."""
        if verdict.state not in MARKED:
            return
        before = self.verdicts.examination_before(verdict, TELLING)
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
