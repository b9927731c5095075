"""Sends the year to the server: each departure hour is asked, each outcome is told when that flight has landed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import numpy as np
import orjson
import pandas as pd

from examples.flights.clock import Clock
from examples.flights.data import FEATURES
from examples.flights.watch import LoopView

HELD_PAUSE_S = 0.4  # between two requests while the clock is held: traffic slows down and never stops
STALLED_S = 180.0  # held this long without any movement of the loop, the replay gives up
MOST_OUTCOMES = 5000
SHOWN_FAILURES = 5


class LoopStalled(RuntimeError):
    """The loop no longer moves, so the clock may not either."""


@dataclass
class Answers:
    """What the server said about each row of the year, by the row's place. Empty id: it was never answered."""

    prediction_id: list[str]
    version: list[str]
    generation: np.ndarray[Any, np.dtype[np.int64]]
    score: np.ndarray[Any, np.dtype[np.float64]]
    outcome_sent: np.ndarray[Any, np.dtype[np.bool_]]
    requests: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    @classmethod
    def none(cls, rows: int) -> Answers:
        """Before the first request."""
        empty = [""] * rows
        return cls(empty, list(empty), np.zeros(rows, np.int64), np.full(rows, np.nan), np.zeros(rows, bool))

    @property
    def answered(self) -> int:
        """Rows that have an answer."""
        return sum(1 for identity in self.prediction_id if identity)


class Replay:
    """Replays `flights` (in time order) against the server at `url`. `tick(place)` hears of progress, also while held."""

    def __init__(
        self,
        flights: pd.DataFrame,
        url: str,
        model: str,
        view: LoopView,
        *,
        seed: int = 0,
        tick: Callable[[datetime, int], None] = lambda *_: None,
        pause: Callable[[float], None] = time.sleep,
        stalled_s: float = STALLED_S,
    ) -> None:
        self._model, self._view, self._tick, self._pause = model, view, tick, pause
        self._random = np.random.default_rng(seed)
        self._times = [moment.to_pydatetime() for moment in flights.event_time]
        self._outcome = flights.outcome.to_numpy("float64")
        landed = flights.outcome_time.dropna().sort_values(kind="stable")
        self._landed = landed.index.to_numpy()
        self._landing = [moment.to_pydatetime() for moment in landed]
        self._told = 0
        values = flights[list(FEATURES)].astype(object)
        self._rows: list[dict[Any, Any]] = values.where(flights[list(FEATURES)].notna(), None).to_dict(
            "records"
        )
        self._client = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        self.answers = Answers.none(len(flights))
        self.clock = Clock(self._times[0])
        self._stalled_s = stalled_s
        self._held_s, self._held_at = 0.0, self._times[0]

    def run(self) -> Answers:
        """The whole of it.

        1. the clock shows the next departure hour
        2. outcomes of flights that have landed by then are told
        3. the hour's flights are asked: at once, or in small pieces while the clock is held
        4. after the last hour the outcomes still in the air are told

        Raises LoopStalled where the clock is held and nothing moves any more.
        """
        hours = np.flatnonzero(np.r_[True, np.array(self._times[1:]) != np.array(self._times[:-1])])
        with self._client:
            for start, end in zip(hours, [*hours[1:], len(self._rows)], strict=True):
                now = self._times[start]
                self.clock.move(time.time(), now)
                self._tell_outcomes(now)
                self._ask_hour(int(start), int(end), now)
                self._tick(now, int(end))
            self._tell_outcomes(None)
        return self.answers

    def _ask_hour(self, start: int, end: int, now: datetime) -> None:
        while start < end:
            limit = self.clock.limit(self._view.evaluated, self._view.run_since)
            if now < limit:
                self._ask(start, end, now)
                return
            self._hold(limit)
            # Held: one or two flights, then a pause, until the loop has caught up.
            upto = min(end, start + int(self._random.integers(1, 3)))
            self._ask(start, upto, now)
            start = upto
            self._tick(now, start)
            self._pause(HELD_PAUSE_S)

    def _hold(self, limit: datetime) -> None:
        self._held_s = self._held_s + HELD_PAUSE_S if limit == self._held_at else 0.0
        self._held_at = limit
        if self._held_s > self._stalled_s:
            told = self._view.unanswered or "drift looks at nothing new, or a run does not end"
            raise LoopStalled(
                f"the loop has stood still at {limit:%Y-%m-%d %H:%M} for {self._stalled_s:.0f} s: {told}"
            )

    def _ask(self, start: int, end: int, now: datetime) -> None:
        rows = self._rows[start:end]
        body = {"model": self._model, "event_time": now.isoformat(), "rows": rows}
        reply = self._post("/predict", body, 200)
        if reply is None:
            return
        answers = self.answers
        for place, item in enumerate(reply["predictions"], start=start):
            answers.prediction_id[place] = item["prediction_id"]
            answers.version[place] = reply["version"]
            answers.generation[place] = reply["generation"]
            answers.score[place] = item["score"]

    def _tell_outcomes(self, now: datetime | None) -> None:
        while self._told < len(self._landed) and (now is None or self._landing[self._told] <= now):
            upto = self._told
            while upto < len(self._landed) and upto - self._told < MOST_OUTCOMES:
                if now is not None and self._landing[upto] > now:
                    break
                upto += 1
            places = range(self._told, upto)
            self._told = upto
            known = [place for place in places if self.answers.prediction_id[self._landed[place]]]
            items = [
                {
                    "prediction_id": self.answers.prediction_id[self._landed[place]],
                    "value": float(self._outcome[self._landed[place]]),
                    "observed_at": self._landing[place].isoformat(),
                }
                for place in known
            ]
            if items and self._post("/outcomes", {"outcomes": items}, 202) is not None:
                self.answers.outcome_sent[self._landed[known]] = True

    def _post(self, path: str, body: dict[str, Any], expected: int) -> Any:
        self.answers.requests += 1
        try:
            answer = self._client.post(
                path, content=orjson.dumps(body), headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError as error:
            return self._failed(f"{path}: {type(error).__name__}: {error}")
        if answer.status_code != expected:
            return self._failed(f"{path}: {answer.status_code} {answer.text[:200]}")
        return orjson.loads(answer.content)

    def _failed(self, message: str) -> None:
        self.answers.failed += 1
        if len(self.answers.failures) < SHOWN_FAILURES:
            self.answers.failures.append(message)
