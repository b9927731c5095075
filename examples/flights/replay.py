"""Replays the year against the server: a prediction per flight at its departure hour, its outcome after landing."""

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

from examples.flights.data import FEATURES
from examples.loop.clock import Clock, LoopStalled
from examples.loop.poller import LoopView

HELD_PAUSE_S = 0.4  # between two requests while the clock is held: traffic slows down and never stops
STALLED_S = 180.0  # held this long without any movement of the loop, the replay gives up
MAX_OUTCOMES_PER_REQUEST = 5000
SHOWN_FAILURES = 5


Alter = Callable[[int, list[dict[Any, Any]]], list[dict[Any, Any]]]


@dataclass
class Answers:
    """The reply for each row of the year, by index. An empty id means no reply."""

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
    """Replays `flights` (in time order) against the server at `url`. `tick` reports progress, also while the clock is held."""

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
        alter: Alter = lambda _, rows: rows,
    ) -> None:
        """`alter(start, rows)`: the rows that are sent in place of those from `start` on."""
        self._model, self._view, self._tick, self._pause = model, view, tick, pause
        self._random = np.random.default_rng(seed)
        self._times = [moment.to_pydatetime() for moment in flights.event_time]
        self._outcome = flights.outcome.to_numpy("float64")
        landed = flights.outcome_time.dropna().sort_values(kind="stable")
        self._landed = landed.index.to_numpy()
        self._landing = [moment.to_pydatetime() for moment in landed]
        self._sent = 0
        values = flights[list(FEATURES)].astype(object)
        self._rows: list[dict[Any, Any]] = values.where(flights[list(FEATURES)].notna(), None).to_dict(
            "records"
        )
        self._client = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        self.answers = Answers.none(len(flights))
        self.clock = Clock(self._times[0])
        self._stalled_s = stalled_s
        self._alter = alter
        self._held_s, self._held_at = 0.0, self._times[0]

    def run(self) -> Answers:
        """Run the replay.

        1. the clock shows the next departure hour
        2. outcomes of flights that have landed by then are posted
        3. predictions for the hour's flights: in one request, or in small requests while the clock is held
        4. after the last hour the remaining outcomes are posted

        Raises LoopStalled if the clock is held and the loop makes no progress.
        """
        hours = np.flatnonzero(np.r_[True, np.array(self._times[1:]) != np.array(self._times[:-1])])
        with self._client:
            for start, end in zip(hours, [*hours[1:], len(self._rows)], strict=True):
                now = self._times[start]
                self.clock.move(time.time(), now)
                self._send_outcomes(now)
                self._predict_hour(int(start), int(end), now)
                self._tick(now, int(end))
            self._send_outcomes(None)
        return self.answers

    def _predict_hour(self, start: int, end: int, now: datetime) -> None:
        while start < end:
            limit = self.clock.limit(self._view.evaluated, self._view.run_since)
            if now < limit:
                self._predict(start, end, now)
                return
            self._hold(limit)
            # Held: one or two flights, then a pause, until the loop has caught up.
            upto = min(end, start + int(self._random.integers(1, 3)))
            self._predict(start, upto, now)
            start = upto
            self._tick(now, start)
            self._pause(HELD_PAUSE_S)

    def _hold(self, limit: datetime) -> None:
        self._held_s = self._held_s + HELD_PAUSE_S if limit == self._held_at else 0.0
        self._held_at = limit
        if self._held_s > self._stalled_s:
            reason = self._view.problem or "drift evaluates no new window, or a run does not end"
            raise LoopStalled(
                f"the loop has made no progress at {limit:%Y-%m-%d %H:%M} for {self._stalled_s:.0f} s: {reason}"
            )

    def _predict(self, start: int, end: int, now: datetime) -> None:
        rows = self._alter(start, self._rows[start:end])
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

    def _send_outcomes(self, now: datetime | None) -> None:
        while self._sent < len(self._landed) and (now is None or self._landing[self._sent] <= now):
            upto = self._sent
            while upto < len(self._landed) and upto - self._sent < MAX_OUTCOMES_PER_REQUEST:
                if now is not None and self._landing[upto] > now:
                    break
                upto += 1
            places = range(self._sent, upto)
            self._sent = upto
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
