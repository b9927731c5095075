"""One scenario with rows: what is asked, what is told, what drift concludes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from local_stack.fault_injection.labels import Truth, outcomes
from local_stack.fault_injection.lake_checks import known_of, wait_for_outcomes, wait_for_rows
from local_stack.fault_injection.limits import length_for
from local_stack.fault_injection.requests import Answers, as_rows, ask, tell
from local_stack.fault_injection.target import Served
from local_stack.fault_injection.timeline import Timeline, plan, rows_per_window
from local_stack.fault_injection.verdicts import wait_for_verdict
from shared.errors import HomeostatError
from shared.http.service_client import ServiceClient
from shared.stores.lake import Lake

SETTLING_S = 60.0
Make = Callable[[int, np.random.Generator], pa.Table]


@dataclass(frozen=True)
class Pace:
    """How much is sent: `rows` in all (None: as many as `windows` take), `rate` rows a second, for at most `seconds` (None: as
    long as they need).

    `wait_s`: how long a verdict is waited for; 0: nobody waits.
    """

    rows: int | None = None
    windows: int = 1
    rate: float = 200.0
    seconds: float | None = None
    wait_s: float = 60.0


@dataclass
class Outcome:
    """What a scenario did: rows `asked`, `answered`, found `in_lake`; outcomes `on_progress`; its event time; the verdict."""

    model: str
    version: str
    generation: int
    asked: int
    answered: int
    failed: int
    failures: list[str]
    in_lake: int | None
    told: int
    start: datetime
    end: datetime
    verdict: dict[str, Any] | None = field(default=None)

    @property
    def unsent(self) -> int:
        """Rows for which there was no time."""
        return self.asked - self.answered - self.failed

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            **asdict(self),
            "unsent": self.unsent,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
        }


@dataclass(frozen=True)
class Scenario:
    """Sends rows of `served` to `inference` and looks at what becomes of them in `lake` and `drift`."""

    served: Served
    inference: ServiceClient
    drift: ServiceClient
    lake: Lake
    now: Callable[[], datetime]
    note: Callable[[int, datetime, datetime], None] = lambda rows, start, end: None

    def size(self, pace: Pace) -> tuple[int, int]:
        """Rows and windows that are sent."""
        each = rows_per_window(self.served.loop.drift.window, known_of(self.lake, self.served))
        rows = pace.rows or each * pace.windows
        return rows, max(pace.windows, rows // each)

    def run(
        self,
        make: Make,
        pace: Pace,
        *,
        seed: int,
        truth: Truth | None,
        on_progress: Callable[[int], None] = lambda _: None,
        step: Callable[[str], None] = lambda _: None,
    ) -> Outcome:
        """Send rows that `make` makes.

        1. The rows are asked, in order of event time.   2. Their outcomes are told, unless `truth` is None.
        3. The lake has them all: what makes the window judgeable must not overtake what is in it.
        4. One last row, later, with its outcome: now the window is over and its outcomes are due.
        5. Drift's verdict.

        `on_progress` hears of rows sent, `step` of what is waited for, `note` of rows that were answered and stay. Raises
        `CallerError` where inference refuses the rows.
        """
        random = np.random.default_rng(seed)
        loop = self.served.loop
        count, windows = self.size(pace)
        timeline = plan(
            loop.drift.window, loop.outcome.delay, known_of(self.lake, self.served), windows, self.now()
        )
        seconds = length_for(count, pace.rate) if pace.seconds is None else pace.seconds
        table = make(count + 1, random)
        rows = as_rows(table, loop)
        truth = None if loop.prediction.kind == "tensor" else truth
        answers = ask(
            self.inference,
            self.served.model,
            rows[:count],
            timeline.moments(count),
            rate=pace.rate,
            seconds=seconds,
            on_progress=on_progress,
        )
        self.note(answers.answered, timeline.start, timeline.end)
        done = Outcome(
            self.served.model,
            self.served.version,
            self.served.generation,
            *(count, answers.answered, answers.failed, answers.failures),
            in_lake=None,
            told=0,
            start=timeline.start,
            end=timeline.end,
        )
        if done.unsent:
            done.failures.append(
                f"{done.unsent} rows were not sent within {seconds:g} s; --for gives them longer"
            )
        done.told = self._tell(table.slice(0, count), answers, truth, random, timeline, self.now())
        if pace.wait_s > 0 and done.answered:
            step("waiting for the lake")
            ids = [identity for identity in answers.ids if identity]
            done.in_lake = wait_for_rows(
                self.lake, self.served.model, ids, timeline.start, timeline.end, within_s=SETTLING_S
            )
            self._finish(rows[count], table.slice(count, 1), truth, random, timeline, done)
            step("waiting for drift's verdict")
            done.verdict = wait_for_verdict(
                self.drift, self.served.model, self.served.generation, timeline, within_s=pace.wait_s
            )
        return done

    def _finish(
        self,
        row: dict[str, Any],
        table: pa.Table,
        truth: Truth | None,
        random: np.random.Generator,
        timeline: Timeline,
        done: Outcome,
    ) -> None:
        """Send the row that makes the windows judgeable."""
        if timeline.last is None:
            return
        if truth is not None and done.told:
            delay = self.served.loop.outcome.delay
            wait_for_outcomes(
                self.lake,
                self.served.model,
                timeline.start,
                timeline.end + delay,
                done.told,
                within_s=SETTLING_S,
            )
        last = ask(self.inference, self.served.model, [row], [timeline.last], rate=1.0, seconds=30.0)
        self.note(last.answered, timeline.last, timeline.last)
        self._tell(table, last, truth, random, timeline, self.now(), delay=timedelta(0))

    def _tell(
        self,
        table: pa.Table,
        answers: Answers,
        truth: Truth | None,
        random: np.random.Generator,
        timeline: Timeline,
        now: datetime,
        *,
        delay: timedelta | None = None,
    ) -> int:
        if truth is None:
            return 0
        wait = self.served.loop.outcome.delay if delay is None else delay
        own = np.asarray(table.column("outcome").to_numpy(), dtype=np.float64)
        scored = np.asarray(table.column("score").to_numpy(), dtype=np.float64)
        values = outcomes(truth, self.served.loop, own, scored, answers.scores, random)
        items = [
            {
                "prediction_id": identity,
                "value": float(value),
                "observed_at": min(moment + wait, now).isoformat(),
            }
            for identity, value, moment in zip(answers.ids, values, answers.moments, strict=True)
            if identity and np.isfinite(value)
        ]
        try:
            return tell(self.inference, items) if items else 0
        except HomeostatError as error:
            answers.failures.append(error.message)
            return 0
