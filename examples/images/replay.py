"""Sends the pictures of each day to the server, and what a person said of them six hours later."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import numpy as np
import orjson
import pandas as pd

from examples.images.infer_request import infer_request, read_answer
from examples.loop.clock import Clock, LoopStalled
from examples.loop.poller import LoopView

MODEL = "caps"
OUTCOME_DELAY = timedelta(hours=6)
RUN_LEAD = timedelta(hours=6)
EVALUATION_LEAD = timedelta(hours=36)  # a window of a day, its outcomes, and six hours
PICTURES_PER_REQUEST = 5
HELD_PAUSE_S = 0.5
STALLED_S = 180.0


@dataclass
class Replayed:
    """One entry per answered picture, and the requests that failed."""

    day: list[int] = field(default_factory=list)
    prediction_id: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)
    version: list[str] = field(default_factory=list)
    outcome: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Replay:
    """Sends days of pictures to the server at `url`, never further ahead of the loop than the clock allows."""

    def __init__(
        self,
        url: str,
        view: LoopView,
        started: datetime,
        *,
        tick: Callable[[datetime, int], None] = lambda *_: None,
        pause: Callable[[float], None] = time.sleep,
        stalled_s: float = STALLED_S,
    ) -> None:
        self._view, self._tick, self._pause, self._stalled_s = view, tick, pause, stalled_s
        self._client = httpx.Client(base_url=url, timeout=60.0, trust_env=False)
        self._due: list[tuple[datetime, str, str]] = []
        self._served = ""
        self.clock = Clock(started, RUN_LEAD, EVALUATION_LEAD)
        self.replayed = Replayed()

    def send_day(self, day: int, pictures: pd.DataFrame) -> None:
        """Send one day in event-time order. Raises LoopStalled if the loop makes no progress while the clock is held."""
        for start in range(0, len(pictures), PICTURES_PER_REQUEST):
            few = pictures.iloc[start : start + PICTURES_PER_REQUEST]
            now = few.event_time.iloc[0].to_pydatetime()
            self._wait_for_loop(now)
            self.clock.move(time.time(), now)
            self._send_outcomes(now)
            self._predict(day, few, now)
            self._tick(now, len(self.replayed.prediction_id))

    def close(self) -> None:
        """Send the remaining outcomes."""
        self._send_outcomes(None)
        self._client.close()

    def _wait_for_loop(self, now: datetime) -> None:
        held_s = 0.0
        while now >= (limit := self._limit()):
            if held_s > self._stalled_s:
                reason = self._view.problem or "drift evaluates no new window, or a run does not end"
                raise LoopStalled(
                    f"the loop has made no progress at {limit:%Y-%m-%d %H:%M} for {self._stalled_s:.0f} s: {reason}"
                )
            self._pause(HELD_PAUSE_S)
            held_s += HELD_PAUSE_S
            self._tick(now, len(self.replayed.prediction_id))

    def _limit(self) -> datetime:
        """The clock's limit. It does not move until the server serves the version promoted last."""
        promoted = next((run["version"] for run in self._view.runs if run["state"] == "promoted"), None)
        if promoted is not None and promoted != self._served:
            self._served = self._served_version()
            if promoted != self._served:
                return self.clock.at(time.time())
        return self.clock.limit(self._view.evaluated, self._view.run_since)

    def _served_version(self) -> str:
        answer = self._client.get(f"/v2/models/{MODEL}")
        return str(orjson.loads(answer.content)["versions"][0]) if answer.is_success else ""

    def _predict(self, day: int, few: pd.DataFrame, now: datetime) -> None:
        request = infer_request(np.stack(few.image.to_list()), now)
        content = self._post(f"/v2/models/{MODEL}/infer", request.content, request.headers, 200)
        if content is None:
            return
        answer, replayed = read_answer(content), self.replayed
        outcomes = few.outcome.to_list()
        replayed.day += [day] * len(outcomes)
        replayed.prediction_id += answer.prediction_ids
        replayed.label += answer.labels
        replayed.version += [answer.version] * len(outcomes)
        replayed.outcome += outcomes
        due = now + OUTCOME_DELAY
        self._due += [(due, *pair) for pair in zip(answer.prediction_ids, outcomes, strict=True)]

    def _send_outcomes(self, now: datetime | None) -> None:
        ready = [item for item in self._due if now is None or item[0] <= now]
        if not ready:
            return
        self._due = self._due[len(ready) :]
        items = [
            {"prediction_id": identity, "value": label, "observed_at": at.isoformat()}
            for at, identity, label in ready
        ]
        body = orjson.dumps({"outcomes": items})
        self._post("/outcomes", body, {"Content-Type": "application/json"}, 202)

    def _post(self, path: str, content: bytes, headers: dict[str, str], expected: int) -> bytes | None:
        try:
            answer = self._client.post(path, content=content, headers=headers)
        except httpx.HTTPError as error:
            self.replayed.failures.append(f"{path}: {type(error).__name__}: {error}")
            return None
        if answer.status_code != expected:
            self.replayed.failures.append(f"{path}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer.content
