"""Late and corrected outcomes: which judged windows they belong to, and when a window is evaluated again.

The lake's outcomes name a prediction by its id and hold no event time of it. So each poll that sees the outcome table changed
reads the ids of the rows that were added, and counts those whose group of ids is among the groups of an open window. A window is
open from its verdict on performance until `open_until`. Groups are few (64 ids made one after the other share one), and
neighbouring windows may share one: a count may be too high, never too low. An evaluation too many changes nothing.

With outcomes that take a month hundreds of windows are open, and after a restart none of their groups is known. So a poll reads
the lake at most `READS_PER_POLL` times for a model; the windows that are left are counted by the next polls.

A window is evaluated again when outcomes for `NOTICEABLE` of its rows were added, and a last time when it ends to be open.
The version of the outcome table that a verdict knows is stored beside it, so a restart loses no count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from services.drift.monitoring.lake_reader import Groups, LakeReader
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.verdicts.positions import OutcomesRead
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.verdict import Verdict
from shared.observability.logs import get_logger

_log = get_logger(__name__)

# Share of a window's rows.
NOTICEABLE = 0.01
# Windows of one model evaluated again in one poll.
REVIEWS_PER_POLL = 2
# Reads of added outcomes, or of a window's groups; each takes some 10 ms.
READS_PER_POLL = 16


@dataclass
class _OpenWindow:
    """A judged window: its groups of ids once they were needed, and outcomes added since its verdict, up to version `counted` of
    the outcome table."""

    counted: int
    groups: Groups | None = None
    added: int = 0


@dataclass
class LateOutcomes:
    """Has windows evaluated again. Not safe to call from several threads at once."""

    lake_reader: LakeReader
    evaluation: WindowEvaluation
    verdicts: VerdictStore
    _models: dict[str, dict[str, _OpenWindow]] = field(default_factory=dict)

    def review(self, model: str, watermark: datetime | None, revised: Callable[[Verdict], None]) -> bool:
        """Count what was added and evaluate what is due; whether more is due. `revised` receives each new revision."""
        open_verdicts = self.verdicts.open_verdicts(model)
        if not open_verdicts or watermark is None:
            self._models.pop(model, None)
            return False
        version = self.lake_reader.outcomes_version(model)
        windows = self._models.setdefault(model, {})
        self._count(model, windows, version, open_verdicts)
        left, more = REVIEWS_PER_POLL, False
        for verdict, known in open_verdicts:
            window = windows[verdict.verdict_id]
            if window.counted < version:
                more = True
                continue
            ends = known.open_until <= watermark
            if window.added and (ends or window.added >= NOTICEABLE * verdict.rows):
                if left == 0:
                    return True
                left -= 1
                again = self.evaluation.review(verdict)
                window.added = 0
                if again is not None:
                    revised(again)
            if ends:
                self.verdicts.set_outcomes_version(verdict.verdict_id, None)
                del windows[verdict.verdict_id]
        return more

    def _count(
        self,
        model: str,
        windows: dict[str, _OpenWindow],
        version: int,
        verdicts: list[tuple[Verdict, OutcomesRead]],
    ) -> None:
        """Count for each window what was added since the last count, or since its verdict if that is later; the windows that
        were counted last are first, as they share one read of what was added."""
        added_since: dict[int, Groups | None] = {}
        reads = 0
        for verdict, known in verdicts:
            window = windows.setdefault(verdict.verdict_id, _OpenWindow(known.version))
            window.counted = max(window.counted, known.version)
        for verdict, _ in sorted(verdicts, key=lambda found: -windows[found[0].verdict_id].counted):
            window = windows[verdict.verdict_id]
            since = window.counted
            if since >= version:
                continue
            if since not in added_since:
                if reads == READS_PER_POLL:
                    return
                reads += 1
                added_since[since] = self.lake_reader.outcome_groups_since(model, since)
            added = added_since[since]
            if added is None:
                # Not known, for example after weeks without this service: each window is evaluated once.
                window.added += max(1, verdict.rows)
            elif added.size and verdict.rows:
                if window.groups is None:
                    if reads == READS_PER_POLL:
                        return
                    reads += 1
                    span = Span(verdict.window_start, verdict.window_end)
                    window.groups = self.lake_reader.prediction_groups(model, span)
                window.added += int(np.isin(added, window.groups).sum())
            window.counted = version
