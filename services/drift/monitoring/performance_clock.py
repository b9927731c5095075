"""The clock of performance: judges the loss of a window when its outcomes are due.

Its windows are those that the clock of inputs has judged, as their stored verdicts say: late rows do not shift them, and both
clocks have the same gaps and the same last window of a generation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest

from services.drift.evaluation.classify import Subject
from services.drift.monitoring.inputs_clock import ClockProgress, Judged
from services.drift.monitoring.references import References
from services.drift.monitoring.window_evaluation import WindowEvaluation
from services.drift.outcome_readiness import Watermarks, is_overdue, progress
from services.drift.verdicts.positions import Generation
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span


@dataclass(frozen=True)
class PerformanceClock:
    """Walks the judged windows of every generation; its position is `performance_until` in the verdict store."""

    references: References
    evaluation: WindowEvaluation
    verdicts: VerdictStore

    def judge_due(
        self, model: str, watermarks: Watermarks, limit: int, judged: Judged, open_end: datetime | None
    ) -> ClockProgress:
        """Judge at most `limit` windows whose outcomes are due.

        `open_end`: end of the window that is not closed yet; it is the next one if no other waits.
        """
        done = ClockProgress()
        generations = self.verdicts.generations(model)
        for seen, newer in zip_longest(generations, generations[1:]):
            replaced = newer.first if newer else None
            if replaced is not None and seen.performance_until >= replaced:
                continue
            performance = self.references.get(model, seen.version).loop.performance
            waits = False
            if performance is not None:
                delay = performance.outcome.delay
                done, waits = self._judge_generation(model, seen, watermarks, delay, limit, judged, done)
                if newer is None and done.next_window_end is None and open_end is not None:
                    done = replace(done, next_window_end=open_end, due_at=open_end + delay)
            # When no more windows can come, the generation is finished, so that later polls do not fetch its reference.
            if not waits and replaced is not None and seen.inputs_until >= replaced:
                self.verdicts.advance(model, seen.generation, "performance", replaced)
        return done

    def _judge_generation(
        self,
        model: str,
        seen: Generation,
        watermarks: Watermarks,
        delay: timedelta,
        limit: int,
        judged: Judged,
        done: ClockProgress,
    ) -> tuple[ClockProgress, bool]:
        """Progress after this generation, and whether windows of it are left."""
        # One more than may be judged shows whether any is left.
        room = limit - done.judged
        for inputs in self.verdicts.windows(model, seen.generation, seen.performance_until, room + 1):
            span = Span(inputs.window_start, inputs.window_end)
            if progress(span, watermarks, delay) != "ready":
                return _waiting(done, span, watermarks, delay), True
            if done.judged >= limit:
                return done, True
            subject = Subject(model, seen.version, seen.generation, "performance", span)
            verdict, new = self.evaluation.evaluate(subject, inputs)
            if new:
                judged(verdict, delay)
            self.verdicts.advance(model, seen.generation, "performance", span.end)
            done = replace(done, judged=done.judged + 1)
        return done, False


def _waiting(done: ClockProgress, span: Span, watermarks: Watermarks, delay: timedelta) -> ClockProgress:
    """Progress with a window that waits for its outcomes; the first such window is the next one."""
    due = span.end + delay
    if done.overdue_since is None and is_overdue(span, watermarks, delay):
        done = replace(done, overdue_since=due)
    return replace(done, next_window_end=span.end, due_at=due) if done.next_window_end is None else done
