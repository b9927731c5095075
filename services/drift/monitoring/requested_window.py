"""Which window a request is about."""

from __future__ import annotations

from datetime import datetime

from services.drift.evaluation.classify import Subject
from services.drift.monitoring.lake_reader import LakeReader
from services.drift.monitoring.references import References
from services.drift.monitoring.schedule import Schedule
from services.drift.outcome_readiness import Watermarks
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.errors import NotFound


def requested_subject(
    references: References,
    lake_reader: LakeReader,
    verdicts: VerdictStore,
    model: str,
    watermarks: Watermarks,
    start: datetime | None,
    end: datetime | None,
) -> Subject:
    """The window from `start` to `end`, or the last complete one. Raises NotFound without predictions, InvalidRequest where there
    is no complete window yet."""
    generations = verdicts.generations(model)
    if not generations or watermarks.predictions is None:
        raise NotFound(f"model {model} has no predictions yet", hint="send a prediction request first")
    if start is not None and end is not None:
        span = Span(start, end)
    else:
        newest = generations[-1]
        window = references.get(model, newest.version).loop.drift.window
        span = Schedule(lake_reader, model, newest, window).last_complete(watermarks.predictions)
    serving = [seen for seen in generations if seen.first < span.end] or generations[:1]
    return Subject(model, serving[-1].version, serving[-1].generation, "request", span)
