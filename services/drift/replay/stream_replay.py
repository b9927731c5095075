"""Stream detectors over the past: rows in order of event time, and Evidently's confirmation of what they suspect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.drift.evaluation.evaluator import Evaluator
from services.drift.replay.past import Generations, Past
from services.drift.stream.stream_profile import StreamProfile
from services.drift.stream_monitor.confirmation import LONGEST_WAIT, Confirmation
from services.drift.stream_monitor.generation_stream import GenerationStream
from services.drift.thresholds.alarm_budget import stream_budget
from services.drift.verdicts.positions import Generation
from services.drift.verdicts.store import VerdictStore
from services.drift.windows import Span
from shared.contracts.manifest import short
from shared.contracts.verdict import Verdict


def replay_stream(
    past: Past,
    found: Generations,
    until: datetime,
    evaluator: Evaluator,
    verdicts: VerdictStore,
    say: Callable[[str], None],
) -> Iterator[Verdict]:
    """Confirmed alarms, each as soon as it is found; the caller stores it in `verdicts` before it asks for the next."""
    ends = [seen.first for seen in found.generations[1:]] + [until]
    clock = _Clock()
    confirmation = Confirmation(past.references, past.lake_reader, evaluator, verdicts, clock)
    for seen, end in zip(found.generations, ends, strict=True):
        reference = past.references.get(past.model, seen.version)
        if len(reference.rows) < reference.loop.drift.window.minimum_rows:
            continue  # warming_up, as windows are
        say(f"calibrating stream detectors of version {short(seen.version)}")
        profile = StreamProfile.of(reference, stream_budget(reference.loop.drift.false_alarms_per_30_days))
        stream = GenerationStream(past.model, seen.version, seen.generation, profile)
        yield from _generation(past, seen, Span(seen.first, end), stream, confirmation, say)


def _generation(
    past: Past,
    seen: Generation,
    span: Span,
    stream: GenerationStream,
    confirmation: Confirmation,
    say: Callable[[str], None],
) -> Iterator[Verdict]:
    for batch in past.stream_rows(seen, span):
        say(f"stream, {batch['event_time'][0].as_py():%Y-%m-%d %H:%M}")
        for suspicion in stream.add(batch):
            # The second look is after the wait for rows that the lake lacks: there are no more.
            conclusion = confirmation.examine(suspicion) or confirmation.examine(suspicion)
            if conclusion is not None and conclusion[1] is not None:
                yield conclusion[1]


@dataclass
class _Clock:
    """A clock by which each wait is over when it is asked again."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        self.at += LONGEST_WAIT + timedelta(seconds=1)
        return self.at
