"""Faults of outcomes, each counted once, however often its window is read. Pure.

A window is read again when outcomes came late, and by requests. What counts is by how much its faults have grown since the last
scheduled evaluation. After a restart a window that was judged before begins with what it has: its faults were counted then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.drift.evaluation.columns import Rows

OutcomeFault = Literal["early", "contradicting"]
# Verdicts whose faults are remembered: those whose window may be evaluated again, of many models.
KEPT = 20_000


@dataclass(frozen=True)
class _Faults:
    """Those of a window."""

    early: int = 0
    contradicted: int = 0
    by_sender: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class OutcomeFaults:
    """`on_faults` receives a model, a fault of outcomes and their number; `on_senders` the contradicted outcomes by sender."""

    on_faults: Callable[[str, OutcomeFault, int], None]
    on_senders: Callable[[str, Mapping[str, int]], None] = lambda *_: None
    kept: int = KEPT
    _known: OrderedDict[str, _Faults] = field(default_factory=OrderedDict)

    def seen(self, model: str, verdict_id: str, rows: Rows, *, again: bool) -> None:
        """Count the faults of a window's rows. `again`: whether this is not its first evaluation."""
        now = _Faults(rows.early_outcomes, rows.contradicted_outcomes, rows.contradicting)
        before = self._known.pop(verdict_id, now if again else _Faults())
        self.on_faults(model, "early", max(0, now.early - before.early))
        self.on_faults(model, "contradicting", max(0, now.contradicted - before.contradicted))
        grown = {sender: count - before.by_sender.get(sender, 0) for sender, count in now.by_sender.items()}
        self.on_senders(model, {sender: count for sender, count in grown.items() if count > 0})
        self._known[verdict_id] = now
        while len(self._known) > self.kept:
            self._known.popitem(last=False)
