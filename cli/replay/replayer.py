"""Sends history to inference: rows in event-time order, outcomes after their delay."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from cli.replay.history import HistoryRow
from cli.replay.result import ReplayResult
from homeostat.client.client import Client
from homeostat.client.errors import AnswerLost, OutcomesRefused, RequestRefused
from shared.errors import HomeostatError, InvalidRequest

_INTERRUPTED_S = 5.0  # how long outcomes that are due are sent after an interruption
Progress = Callable[[int, datetime], None]


@dataclass(frozen=True)
class ReplayOptions:
    """`speed` is event time by real time, None as fast as possible; `batch` the maximum number of rows in one request."""

    delay: timedelta
    speed: float | None = None
    batch: int = 100
    limit: int | None = None


class Replayer:
    """Replays rows with a client, and counts. It closes the client."""

    def __init__(
        self,
        client: Client,
        model: str,
        options: ReplayOptions,
        *,
        on_progress: Progress = lambda *_: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._model = model
        self._options = options
        self._on_progress = on_progress
        self._sleep = sleep
        self._due: deque[tuple[datetime, str, Any]] = deque()  # by time, since the delay is the same for all
        self._result = ReplayResult(model)

    def run(self, rows: Iterable[HistoryRow]) -> ReplayResult:
        """Send everything.

        1. wait until the next event time of the history, at the given speed        2. send the outcomes that are due by then
        3. send the rows of that event time        4. after the last row, send the remaining outcomes at once

        An interruption ends it with the outcomes that are due; an error that is not about single rows is in the result.
        """
        began = time.monotonic()
        result = self._result
        try:
            self._send_all(rows, began)
        except KeyboardInterrupt:
            result.interrupted = True
        except HomeostatError as error:
            result.stopped_by = error
        self._close(_INTERRUPTED_S if result.interrupted or result.stopped_by else None)
        result.seconds = time.monotonic() - began
        return result

    def _send_all(self, rows: Iterable[HistoryRow], began: float) -> None:
        first: datetime | None = None
        for group in same_time_groups(islice(rows, self._options.limit), self._options.batch):
            now = group[0].event_time
            first = first or now
            if self._options.speed is not None:
                starts = (now - first).total_seconds() / self._options.speed
                self._sleep(max(0.0, began + starts - time.monotonic()))
            self._send_outcomes(now)
            self._send_rows(group)
            self._on_progress(len(group), now)
        self._send_outcomes(None)

    def _send_rows(self, group: list[HistoryRow]) -> None:
        result, left, moment = self._result, list(group), group[0].event_time
        while left:
            try:
                answers = self._client.predict(
                    [row.inputs for row in left], model=self._model, event_time=moment
                )
            except (InvalidRequest, RequestRefused) as error:
                # None of the others was taken either, so they are sent again without this one.
                refused = left if error.row is None else left[error.row : error.row + 1]
                left = [] if error.row is None else [*left[: error.row], *left[error.row + 1 :]]
                result.refused += len(refused)
                result.add_reason(f"{_place(refused)} refused: {_in_file(error, refused[0].number)}")
            except AnswerLost as error:
                result.lost += len(left)
                result.add_reason(f"{_place(left)}: {error.message}")
                return
            except KeyboardInterrupt:
                result.lost += len(left)
                raise
            else:
                result.answered += len(left)
                due = moment + self._options.delay
                for answer, row in zip(answers, left, strict=True):
                    if row.outcome is not None:
                        self._due.append((due, answer.prediction_id, row.outcome))
                return

    def _send_outcomes(self, now: datetime | None) -> None:
        """Outcomes that are due at `now`; None: all."""
        while self._due and (now is None or self._due[0][0] <= now):
            due, prediction_id, value = self._due.popleft()
            try:
                self._client.outcome(prediction_id, value, due)
            except InvalidRequest as error:
                self._result.outcomes_refused += 1
                self._result.add_reason(f"outcome refused: {error.message}")

    def _close(self, timeout_s: float | None) -> None:
        result = self._result
        try:
            self._client.close(timeout_s)
        except OutcomesRefused as error:
            for one in error.refused:
                result.add_reason(f"outcome refused: {one.reason.message}")
        except HomeostatError as error:
            result.stopped_by = result.stopped_by or error
        counts = self._client.outcome_counts
        result.outcomes = counts.accepted
        result.outcomes_refused += counts.refused


def _place(rows: list[HistoryRow]) -> str:
    """Where rows of one event time are in the file, counted from 0."""
    first, last, moment = rows[0].number, rows[-1].number, rows[0].event_time.isoformat()
    if len(rows) == 1:
        return f"row {first} of {moment}"
    return f"{len(rows)} rows of {moment} from row {first} to row {last}"


def _in_file(error: InvalidRequest | RequestRefused, number: int) -> str:
    """The message with the row's number in the file; client and server count the rows of a request."""
    return (
        error.message
        if error.row is None
        else re.sub(rf"\brow {error.row}\b", f"row {number}", error.message)
    )


def same_time_groups(rows: Iterable[HistoryRow], limit: int) -> Iterator[list[HistoryRow]]:
    """Rows of the same event time, which one request can hold; at most `limit` at once."""
    group: list[HistoryRow] = []
    for row in rows:
        if group and (row.event_time != group[0].event_time or len(group) == limit):
            yield group
            group = []
        group.append(row)
    if group:
        yield group
