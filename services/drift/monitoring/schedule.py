"""The windows of one generation, in order: loop.yaml gives their length, the lake's rows their start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.drift.monitoring.lake_reader import LakeReader
from services.drift.verdicts.positions import Generation
from services.drift.windows import (
    Span,
    last_complete,
    skip_empty,
    window_by_rows,
    window_by_time,
)
from shared.contracts.event_time import from_micros
from shared.contracts.loop_spec import Window
from shared.errors import InvalidRequest


@dataclass(frozen=True)
class Schedule:
    """The windows of `generation` of `model`."""

    lake_reader: LakeReader
    model: str
    generation: Generation
    window: Window

    def window_from(self, start: datetime) -> Span | None:
        """The window that begins at `start`; None while it lacks rows to know its end."""
        if self.window.every is not None:
            return window_by_time(start, self.window.every)
        times = self.lake_reader.times(self.model, self.generation.generation, start)
        return window_by_rows(times, self.window.rows or 0)

    def after_gap(self, start: datetime, limit: datetime) -> datetime:
        """Start of the first window from `start` on that holds a row or ends after `limit`: a gap is skipped no further.

        Rows that arrive late for a skipped window are not evaluated, like those that arrive late for an evaluated one.
        """
        if self.window.every is None:
            return start
        following = skip_empty(start, self.window.every, limit)
        times = self.lake_reader.times(self.model, self.generation.generation, start)
        if times.size:
            following = min(following, skip_empty(start, self.window.every, from_micros(int(times[0]))))
        return following

    def last_complete(self, watermark: datetime) -> Span:
        """The last complete window. Raises InvalidRequest while there is none."""
        span: Span | None = None
        if self.window.every is not None:
            span = last_complete(self.generation.first, self.window.every, watermark)
        else:
            rows = self.window.rows or 0
            times = self.lake_reader.times(self.model, self.generation.generation, self.generation.first)
            span = window_by_rows(times[-rows:], rows)
        if span is None:
            raise InvalidRequest(
                f"the version of {self.model} served now has no complete window yet",
                field="start",
                expected="start and end of the window to evaluate",
            )
        return span
