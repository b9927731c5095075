"""The clock of inputs: judges features, predictions and data quality of a window when it closes. It never waits for outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from services.drift.evaluation.classify import Subject
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.references import References
from services.drift.monitoring.schedule import Schedule
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.outcome_readiness import Watermarks, progress
from services.drift.verdicts.positions import Generation
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.verdict import Verdict

# The watermark comes from statistics of files, which may be cut to milliseconds.
_STATISTICS_SLACK = timedelta(seconds=1)
# Receives a new verdict, and the delay of outcomes that it waited for.
Judged = Callable[[Verdict, timedelta | None], None]


@dataclass(frozen=True)
class ClockProgress:
    """What a clock did in a poll, and what it waits for.

    `next_window_end`: end of the window that is judged next; `due_at`: the event time that the lake must reach for that.
    `overdue_since`: since when outcomes of a window are overdue; None where none are.
    """

    judged: int = 0
    next_window_end: datetime | None = None
    due_at: datetime | None = None
    overdue_since: datetime | None = None


@dataclass
class _Cursor:
    """Position in the windows of one generation. `in_gap`: the last window had no rows, and its verdict is stored."""

    model: str
    seen: Generation
    schedule: Schedule
    delay: timedelta | None
    replaced: datetime | None
    start: datetime
    in_gap: bool


@dataclass(frozen=True)
class InputsClock:
    """Walks the windows of every generation; its position is `inputs_until` in the verdict store."""

    references: References
    lake_reader: LakeReader
    evaluation: WindowEvaluation
    verdicts: VerdictStore

    def judge_due(self, model: str, watermarks: Watermarks, limit: int, judged: Judged) -> ClockProgress:
        """Judge at most `limit` windows that have closed."""
        count = 0
        next_end: datetime | None = None
        generations = self._generations(model, watermarks.predictions)
        for seen, newer in zip_longest(generations, generations[1:]):
            replaced = newer.first if newer else None
            if replaced is not None and seen.inputs_until >= replaced:
                continue
            cursor = self._cursor(model, seen, replaced)
            while count < limit and (span := self._next_window(cursor, watermarks)) is not None:
                if progress(span, watermarks, None) == "open":
                    next_end = span.end
                    break
                count += self._judge_or_skip(cursor, span, watermarks, judged)
        return ClockProgress(count, next_end, next_end)

    def _generations(self, model: str, watermark: datetime | None) -> list[Generation]:
        """The generations seen. If a person has set the watermark back, the newest one goes on from there.

        Its windows up to the watermark that have a verdict are not judged again.
        """
        found = self.verdicts.generations(model)
        if not found or watermark is None or found[-1].inputs_until <= watermark + _STATISTICS_SLACK:
            return found
        newest = found[-1]
        seen = self.lake_reader.generations(model, newest.generation - 1)
        first = next((one.first for one in seen if one.generation == newest.generation), None)
        if first is None or first > watermark:
            return found
        self.verdicts.go_back(model, newest.generation, first, watermark)
        return self.verdicts.generations(model)

    def _cursor(self, model: str, seen: Generation, replaced: datetime | None) -> _Cursor:
        loop = self.references.get(model, seen.version).loop
        schedule = Schedule(self.lake_reader, model, seen, loop.drift.window)
        delay = loop.performance.outcome.delay if loop.performance else None
        start = seen.inputs_until
        # The stored verdict, not memory, says whether this gap has its verdict: so it is right after a restart.
        last = self.verdicts.last_of(model, "inputs", seen.generation) if start > seen.first else None
        in_gap = last is not None and last.rows == 0
        return _Cursor(model, seen, schedule, delay, replaced, start, in_gap)

    def _next_window(self, cursor: _Cursor, watermarks: Watermarks) -> Span | None:
        """The next window of the generation; None if its end is unknown, or if the generation was replaced before it."""
        span = cursor.schedule.window_from(cursor.start)
        if cursor.replaced is None or (span is not None and span.end <= cursor.replaced):
            return span
        # No complete window is left. When its rows had time to arrive, the generation is finished, so that later polls do not
        # fetch its reference.
        if progress(Span(cursor.start, cursor.replaced), watermarks, cursor.delay) == "ready":
            self.verdicts.advance(cursor.model, cursor.seen.generation, "inputs", cursor.replaced)
        return None

    def _judge_or_skip(self, cursor: _Cursor, span: Span, watermarks: Watermarks, judged: Judged) -> int:
        """Judge the window, or skip the rest of a gap that has its verdict. Returns how many windows were judged."""
        model, generation = cursor.model, cursor.seen.generation
        if cursor.in_gap:
            limit = watermarks.predictions or span.start
            cursor.start, cursor.in_gap = cursor.schedule.after_gap(cursor.start, limit), False
            self.verdicts.advance(model, generation, "inputs", cursor.start)
            return 0
        subject = Subject(model, cursor.seen.version, generation, "inputs", span)
        verdict, new = self.evaluation.evaluate(subject)
        if new:
            judged(verdict, None)
        cursor.start, cursor.in_gap = span.end, verdict.rows == 0
        self.verdicts.advance(model, generation, "inputs", cursor.start)
        return 1
