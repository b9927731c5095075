"""A scenario: sends rows and their outcomes, waits for the lake, and reads the verdict of drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from local_stack.fault_injection.labels import LabelSource, label_outcomes, outcomes
from local_stack.fault_injection.lake_checks import read_event_range, wait_for_outcomes, wait_for_rows
from local_stack.fault_injection.limits import duration_for
from local_stack.fault_injection.requests import Responses, as_rows, send_outcomes, send_rows
from local_stack.fault_injection.row_counts import (
    RowCount,
    row_count,
    too_few_for_a_run,
    too_few_for_a_verdict,
)
from local_stack.fault_injection.target import Target
from local_stack.fault_injection.timeline import Timeline, plan
from local_stack.fault_injection.verdicts import wait_for_verdict
from shared.errors import HomeostatError
from shared.http.service_client import ServiceClient
from shared.models.answers import read_outcomes, read_scores
from shared.stores.lake import Lake

SETTLING_S = 60.0
MakeRows = Callable[[int, np.random.Generator], pa.Table]


@dataclass(frozen=True)
class Workload:
    """How much is sent: `rows` in total (None: as many as fill `windows`; both None: enough for a run), `rate` rows per second,
    for at most `seconds` (None: as long as the rows need).

    `wait_s`: seconds to wait for a verdict; 0 does not wait.
    """

    rows: int | None = None
    windows: int | None = 1
    rate: float = 200.0
    seconds: float | None = None
    wait_s: float = 60.0


@dataclass
class ScenarioResult:
    """What a scenario did: number of `rows`, of rows `answered`, `failed` and found `in_lake`, of outcomes sent; its range of
    event time; and the verdict."""

    model: str
    version: str
    generation: int
    rows: int
    answered: int
    failed: int
    failures: list[str]
    in_lake: int | None
    outcomes: int
    start: datetime
    end: datetime
    verdict: dict[str, Any] | None = field(default=None)

    @property
    def unsent(self) -> int:
        """Rows that were not sent before the time was over."""
        return self.rows - self.answered - self.failed

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
    """Sends rows of `target` to `inference`, and checks for them in `lake` and `drift`. `record` is called for answered rows."""

    target: Target
    inference: ServiceClient
    drift: ServiceClient
    lake: Lake
    now: Callable[[], datetime]
    record: Callable[[int, datetime, datetime], None] = lambda rows, start, end: None

    def size(self, pace: Workload) -> RowCount:
        """Number of rows and windows to send."""
        event_range = read_event_range(self.lake, self.target)
        return row_count(self.target.loop, event_range, pace.rows, pace.windows)

    def warnings(self, pace: Workload, labels: LabelSource | None) -> list[str]:
        """What the rows are too few for: a verdict, or a run about the drift that reversed outcomes are."""
        loop, count = self.target.loop, self.size(pace)
        event_range = read_event_range(self.lake, self.target)
        found = too_few_for_a_verdict(loop, count)
        if not found and labels == "reversed":
            found = too_few_for_a_run(loop, event_range, count)
        return [found] if found else []

    def run(
        self,
        make: MakeRows,
        pace: Workload,
        *,
        seed: int,
        labels: LabelSource | None,
        on_progress: Callable[[int], None] = lambda _: None,
        step: Callable[[str], None] = lambda _: None,
        with_verdict: bool = True,
    ) -> ScenarioResult:
        """Send the rows that `make` makes.

        1. Send the rows in order of event time.   2. Send their outcomes, unless `labels` is None.
        3. Wait until the lake has them all, so that the row that closes the window does not arrive before them.
        4. Send one later row with its outcome: it closes the window, and the outcomes are due.
        5. Wait for the verdict, if `with_verdict`.

        `on_progress` receives the number of rows sent, `step` a description of each wait. Raises `CallerError` if inference
        rejects the rows.
        """
        random = np.random.default_rng(seed)
        loop = self.target.loop
        size = self.size(pace)
        count = size.rows
        seconds = duration_for(count, pace.rate) if pace.seconds is None else pace.seconds
        table = make(count + 1, random)
        labels = labels if loop.prediction.has_loss else None
        timeline = plan(
            loop.drift.window,
            self._outcome_delay,
            read_event_range(self.lake, self.target),
            size.windows,
            self.now(),
            with_outcomes=labels is not None and has_outcome(table, count),
        )
        event_times = timeline.event_times(count)
        rows = as_rows(table, loop, [*event_times, timeline.last or timeline.end])
        responses = send_rows(
            self.inference,
            self.target.model,
            rows[:count],
            event_times,
            rate=pace.rate,
            seconds=seconds,
            on_progress=on_progress,
        )
        self.record(responses.answered, timeline.start, timeline.end)
        result = ScenarioResult(
            self.target.model,
            self.target.version,
            self.target.generation,
            *(count, responses.answered, responses.failed, responses.failures),
            in_lake=None,
            outcomes=0,
            start=timeline.start,
            end=timeline.end,
        )
        if result.unsent:
            result.failures.append(
                f"{result.unsent} rows were not sent within {seconds:g} s; allow more time with --for"
            )
        result.outcomes = self._send_outcomes(
            table.slice(0, count), responses, labels, random, timeline, self.now()
        )
        if pace.wait_s > 0 and result.answered:
            step("waiting for the lake")
            ids = [one for one in responses.ids if one]
            result.in_lake = wait_for_rows(
                self.lake, self.target.model, ids, timeline.start, timeline.end, within_s=SETTLING_S
            )
            self._finish(rows[count], table.slice(count, 1), labels, random, timeline, result)
            if not with_verdict:
                return result
            step("waiting for drift's verdict")
            result.verdict = wait_for_verdict(
                self.drift,
                self.target.model,
                self.target.generation,
                timeline,
                within_s=pace.wait_s,
                with_performance=loop.performance is not None,
            )
        return result

    def _finish(
        self,
        row: dict[str, Any],
        table: pa.Table,
        labels: LabelSource | None,
        random: np.random.Generator,
        timeline: Timeline,
        result: ScenarioResult,
    ) -> None:
        """Send the row that closes the last window."""
        if timeline.last is None:
            return
        if labels is not None and result.outcomes:
            delay = self._outcome_delay
            wait_for_outcomes(
                self.lake,
                self.target.model,
                timeline.start,
                timeline.end + delay,
                result.outcomes,
                within_s=SETTLING_S,
            )
        last = send_rows(self.inference, self.target.model, [row], [timeline.last], rate=1.0, seconds=30.0)
        self.record(last.answered, timeline.last, timeline.last)
        self._send_outcomes(table, last, labels, random, timeline, self.now(), delay=timedelta(0))

    def _send_outcomes(
        self,
        table: pa.Table,
        responses: Responses,
        labels: LabelSource | None,
        random: np.random.Generator,
        timeline: Timeline,
        now: datetime,
        *,
        delay: timedelta | None = None,
    ) -> int:
        if labels is None:
            return 0
        wait = self._outcome_delay if delay is None else delay
        items = [
            {
                "prediction_id": prediction_id,
                "value": value,
                "observed_at": min(event_time + wait, now).isoformat(),
            }
            for prediction_id, value, event_time in zip(
                responses.ids,
                self._outcomes(table, responses, labels, random),
                responses.event_times,
                strict=True,
            )
            if prediction_id and value is not None
        ]
        try:
            return send_outcomes(self.inference, items) if items else 0
        except HomeostatError as error:
            responses.failures.append(error.message)
            return 0

    @property
    def _outcome_delay(self) -> timedelta:
        performance = self.target.loop.performance
        return performance.outcome.delay if performance is not None else timedelta(0)

    def _outcomes(
        self, table: pa.Table, responses: Responses, labels: LabelSource, random: np.random.Generator
    ) -> list[Any]:
        """An outcome per row, as /outcomes takes it; None for a row without one."""
        loop = self.target.loop
        if loop.prediction.kind == "classes":
            answered = [responses.by_label.get(place) for place in range(len(responses.ids))]
            own_labels = table.column("outcome").to_pylist()
            return label_outcomes(labels, loop.prediction, own_labels, answered, random)
        own = read_outcomes(loop.prediction, table.column("outcome"))
        scored = read_scores(loop.prediction, table)
        if loop.prediction.names:
            names = loop.prediction.names
            found = [responses.by_name.get(place) for place in range(len(responses.ids))]
            numbers = np.array([[np.nan if row is None else row[name] for name in names] for row in found])
            values = outcomes(labels, loop, own, scored, numbers, random)
            return [
                dict(zip(names, row.tolist(), strict=True)) if np.isfinite(row).all() else None
                for row in values
            ]
        values = outcomes(labels, loop, own, scored, responses.scores, random)
        return [float(value) if np.isfinite(value) else None for value in values]


def has_outcome(table: pa.Table, row: int) -> bool:
    """Whether a row of the reference has an outcome."""
    value = table.column("outcome")[row].as_py()
    if isinstance(value, dict):
        return all(number is not None and number == number for number in value.values())
    return value is not None and value == value  # NaN differs from itself
