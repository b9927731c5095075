"""A suspicion: the alarms that one tile of a generation raised. It becomes one verdict, or is withdrawn. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pydantic import TypeAdapter

from services.drift.evaluation.classify import Subject
from services.drift.stream.alarm import Alarm, AlarmState, Method
from services.drift.windows import Span

COUNTED_FAULTS: tuple[Method, ...] = ("schema", "missing", "infinite")


@dataclass(frozen=True)
class Suspicion:
    """All `alarms` of one tile of a generation. `rows`: counted since the onset; `window`: length of the model's window."""

    model: str
    version: str
    generation: int
    alarms: tuple[Alarm, ...]
    rows: int
    window: timedelta

    @property
    def state(self) -> AlarmState:
        """What it would be: while data are faulty, nothing is known about drift."""
        return "data_fault" if any(alarm.state == "data_fault" for alarm in self.alarms) else "drift"

    @property
    def counting(self) -> tuple[Alarm, ...]:
        """The alarms of its state."""
        return tuple(alarm for alarm in self.alarms if alarm.state == self.state)

    @property
    def counted(self) -> tuple[Alarm, ...]:
        """Data faults that were counted, not inferred from a distribution: they need no confirmation."""
        return tuple(
            alarm for alarm in self.alarms if alarm.state == "data_fault" and alarm.method in COUNTED_FAULTS
        )

    @property
    def subject(self) -> Subject:
        """What the verdict is about: the event time from the estimated onset to the alarm."""
        span = Span(min(alarm.onset for alarm in self.counting), self.alarms[0].detected_at)
        return Subject(self.model, self.version, self.generation, "stream", span)


_SUSPICIONS = TypeAdapter(tuple[Suspicion, ...])


def write_suspicions(suspicions: tuple[Suspicion, ...]) -> bytes:
    """As JSON, for a snapshot."""
    return _SUSPICIONS.dump_json(suspicions)


def read_suspicions(text: bytes) -> tuple[Suspicion, ...]:
    """From the JSON of a snapshot. Raises ValueError."""
    return _SUSPICIONS.validate_json(text)
