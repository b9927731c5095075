"""Final checks: every reply is in the lake, the loop learned the faded lamp, and nothing was trained on broken data."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from examples.images.camera import FADED_FROM, SCALED_FROM
from examples.images.data import BEGINS
from examples.images.replay import Replayed
from examples.images.report import window_middle
from examples.loop.poller import ALL, LoopPoller
from shared.stores.lake import Lake

TIMEOUT_S = 120.0
MIN_GAIN = 0.1  # share of pictures that are right only since the retraining
_FROM, _UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Logged:
    """Rows in the lake; `problems` is empty if they are those that were answered."""

    rows: int
    problems: tuple[str, ...]


def wait_for_lake(lake: Lake, model: str, replayed: Replayed, timeout_s: float = TIMEOUT_S) -> Logged:
    """Compare the lake with the replies until they match, for at most `timeout_s` seconds."""
    ends = time.monotonic() + timeout_s
    while True:
        found = compare(lake, model, replayed)
        if not found.problems or time.monotonic() > ends:
            return found
        time.sleep(0.5)


def compare(lake: Lake, model: str, replayed: Replayed) -> Logged:
    """The same ids, each once, with the version and label that the reply named."""
    columns = ["prediction_id", "version", "label"]
    rows = lake.read_predictions(model, _FROM, _UNTIL, columns).to_pydict()
    logged = Counter(zip(*(rows[column] for column in columns), strict=True))
    answered = Counter(zip(replayed.prediction_id, replayed.version, replayed.label, strict=True))
    missing, unknown = (answered - logged).total(), (logged - answered).total()
    problems = []
    if missing:
        problems.append(f"{missing} answered predictions are not in the lake as the reply named them")
    if unknown:
        problems.append(
            f"{unknown} predictions in the lake were never answered so, or are there more than once"
        )
    return Logged(len(rows["prediction_id"]), tuple(problems))


def wait_for_verdicts(poller: LoopPoller, last_day: int, timeout_s: float = TIMEOUT_S) -> None:
    """Wait until the performance in a window mostly of `last_day`, from 0, is judged, or the time is over."""
    begins, ends = BEGINS + timedelta(days=last_day), time.monotonic() + timeout_s
    while time.monotonic() < ends:
        poller.poll(ALL)
        judged = [one for one in poller.view.verdicts if one["detector"] == "performance"]
        if any(window_middle(verdict) >= begins for verdict in judged):
            return
        time.sleep(0.5)


def failed_limits(days: pd.DataFrame, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the days should have shown and did not."""
    missed = []
    verdicts = dict(zip(days.day, days.verdict, strict=True))
    calm = [day for day in range(FADED_FROM) if verdicts.get(day) in ("drift", "data_fault")]
    if len(calm) > 1:
        missed.append(f"{len(calm)} alarms while the camera was as installed, expected at most one")
    if verdicts.get(FADED_FROM) != "drift":
        missed.append(f"the day the lamp faded was judged {verdicts.get(FADED_FROM)!r}, expected 'drift'")
    relearned = days[days.day == SCALED_FROM - 1]
    gain = float((relearned.served - relearned["first"]).mean())
    if not gain >= MIN_GAIN:
        missed.append(
            f"on the last day of the faded lamp {gain:+.0%} more pictures are right than with version 1, "
            f"expected at least {MIN_GAIN:+.0%}"
        )
    scaled = BEGINS + timedelta(days=SCALED_FROM)
    judged = verdicts.get(SCALED_FROM)
    if judged != "data_fault":
        missed.append(f"the day of the new driver was judged {judged!r}, expected 'data_fault'")
    trained = [
        run for run in runs if datetime.fromisoformat(run["event_time"]) > scaled + timedelta(hours=12)
    ]
    if trained:
        missed.append(f"{len(trained)} runs were started by the new driver's numbers, expected none")
    return missed
