"""What a replay found: alarms with cause and blame, the delay after a known change, and the false alarms to expect. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.drift.evaluation.classify import strength
from services.drift.thresholds.alarm_budget import MONTH, expected_false_alarms, stream_budget
from shared.contracts.verdict import SCHEDULED, Clock, Score, Verdict

_ALARMS = ("drift", "data_fault")
_JUDGED = ("ok", *_ALARMS)


@dataclass(frozen=True)
class Summary:
    """`verdicts` of a replay. `delays`: of outcomes, by version: an alarm of performance is known that much later.
    `rows_between`: number of rows from one event time to another."""

    model: str
    verdicts: Sequence[Verdict]
    delays: dict[str, timedelta]
    false_alarms_per_30_days: float
    stream: bool
    change_at: datetime | None = None
    skipped: Sequence[str] = ()
    rows_between: Callable[[datetime, datetime], int] = lambda *_: 0

    def document(self) -> dict[str, Any]:
        """Everything, for JSON."""
        alarms = [self._alarm(verdict) for verdict in self.verdicts if is_alarm(verdict)]
        alarms.sort(key=lambda alarm: (alarm["known_at"], alarm["detector"]))
        return {
            "model": self.model,
            "from": min(one.window_start for one in self.verdicts) if self.verdicts else None,
            "until": max(one.window_end for one in self.verdicts) if self.verdicts else None,
            "windows": sum(one.detector == "inputs" for one in self.verdicts),
            "rows": sum(one.rows for one in self.verdicts if one.detector == "inputs"),
            "states": {
                detector: dict(Counter(one.state for one in self.verdicts if one.detector == detector))
                for detector in (*SCHEDULED, "stream")
            },
            "alarms": alarms,
            "false_alarms": self._false_alarms(alarms),
            "delay": self._delay(alarms),
            "skipped": list(self.skipped),
        }

    def _alarm(self, verdict: Verdict) -> dict[str, Any]:
        exceeded = sorted((score for score in verdict.scores if score.exceeded), key=strength, reverse=True)
        return {
            "known_at": self._known_at(verdict),
            "window_start": verdict.window_start,
            "window_end": verdict.window_end,
            "detector": verdict.detector,
            "state": verdict.state,
            "drifted": list(verdict.drifted),
            "features": list(verdict.top_drifted_features),
            "slices": list(dict.fromkeys(score.slice for score in exceeded if score.slice)),
            "onset": verdict.onset,
            "version": verdict.version,
            "generation": verdict.generation,
            "strongest": _strongest(exceeded),
            "explanation": verdict.explanation,
        }

    def _known_at(self, verdict: Verdict) -> datetime:
        """Event time at which the service would have told: for performance, when outcomes are due."""
        late = (
            self.delays.get(verdict.version, timedelta(0))
            if verdict.detector == "performance"
            else timedelta(0)
        )
        return verdict.window_end + late

    def _false_alarms(self, alarms: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """What to expect at most where nothing changes, and how many alarms there were before `change_at`."""
        judged = [one for one in self.verdicts if one.state in _JUDGED and one.detector in SCHEDULED]
        budget = self.false_alarms_per_30_days
        expected = 0.0
        for one in judged:
            clock: Clock = "inputs" if one.detector == "inputs" else "performance"
            expected += expected_false_alarms(budget, one.window_end - one.window_start, clock)
        inputs = [one for one in judged if one.detector == "inputs"]
        covered = sum((one.window_end - one.window_start for one in inputs), timedelta(0))
        if self.stream:
            expected += stream_budget(budget) * (covered / MONTH)
        before = [one for one in alarms if self.change_at is None or one["window_end"] <= self.change_at]
        return {
            "per_30_days": budget,
            "days": covered / timedelta(days=1),
            "expected_at_most": expected,
            "alarms_before_change": len(before) if self.change_at is not None else None,
        }

    def _delay(self, alarms: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """From `change_at` to the first alarm of each detector about a window that ends after it."""
        if self.change_at is None:
            return None
        after = [alarm for alarm in alarms if alarm["window_end"] > self.change_at]
        first: dict[str, float] = {}
        for alarm in after:
            seconds = (alarm["known_at"] - self.change_at).total_seconds()
            first.setdefault(alarm["detector"], seconds)
        return {
            "change_at": self.change_at,
            "seconds": min(first.values()) if first else None,
            "rows": self.rows_between(self.change_at, after[0]["known_at"]) if after else None,
            "of": first,
        }


def is_alarm(verdict: Verdict) -> bool:
    """Whether a verdict is an alarm of its own: a performance verdict that only says that the inputs are faulty is none."""
    return verdict.state == "drift" or (verdict.state == "data_fault" and verdict.detector != "performance")


def _strongest(exceeded: Sequence[Score]) -> dict[str, Any] | None:
    return exceeded[0].model_dump(mode="json") if exceeded else None
