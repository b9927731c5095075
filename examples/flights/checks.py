"""Final checks: every reply is in the lake unchanged, and retraining reduced the loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from examples.flights.replay import Answers
from shared.stores.lake import Lake

TIMEOUT_S = 60.0
_FROM, _UNTIL = datetime(2012, 1, 1, tzinfo=UTC), datetime(2015, 1, 1, tzinfo=UTC)

MAX_SERVED, MIN_GAIN, MAX_FIRST, MIN_PROMOTED = 0.525, 0.03, 0.60, 3


@dataclass(frozen=True)
class Conservation:
    """Counts of answered rows and sent outcomes, and of those in the lake; `problems` is empty if they match."""

    answered: int
    in_lake: int
    outcomes_sent: int
    outcomes_in_lake: int
    problems: tuple[str, ...]


def wait_for_lake(
    lake: Lake,
    model: str,
    answers: Answers,
    tick: Callable[[], None] = lambda: None,
    timeout_s: float = TIMEOUT_S,
) -> Conservation:
    """Compare the lake with the replies until they match, for at most `timeout_s` seconds."""
    ends = time.monotonic() + timeout_s
    while True:
        found = compare(lake, model, answers)
        if not found.problems or time.monotonic() > ends:
            return found
        tick()
        time.sleep(0.5)


def compare(lake: Lake, model: str, answers: Answers) -> Conservation:
    """Row by row: the same ids, each once, with the version, generation and score the reply named; the same outcomes."""
    columns = ["prediction_id", "version", "generation", "score"]
    rows = lake.read_predictions(model, _FROM, _UNTIL, columns).to_pydict()
    logged = {identity: named for identity, *named in zip(*(rows[column] for column in columns), strict=True)}
    problems = []
    repeated = len(rows["prediction_id"]) - len(logged)
    if repeated:
        problems.append(f"{repeated} predictions are in the lake more than once")
    answered = {identity: place for place, identity in enumerate(answers.prediction_id) if identity}
    missing, strange = len(answered.keys() - logged.keys()), len(logged.keys() - answered.keys())
    if missing:
        problems.append(f"{missing} answered predictions are not in the lake")
    if strange:
        problems.append(f"{strange} predictions in the lake were never answered")
    different = 0
    for identity, place in answered.items():
        version, generation, score = logged.get(identity, (None, None, None))
        if version is None:
            continue
        same = version == answers.version[place] and generation == answers.generation[place]
        different += not (same and abs(score - answers.score[place]) < 1e-6)
    if different:
        problems.append(
            f"{different} predictions name another version, generation or score in the lake than in the reply"
        )
    sent = {answers.prediction_id[place] for place in answers.outcome_sent.nonzero()[0]}
    outcomes = lake.read_outcomes(model, _FROM, _UNTIL)["prediction_id"].to_pylist()
    if sent != set(outcomes) or len(outcomes) != len(sent):
        problems.append(f"{len(sent)} outcomes were sent, {len(outcomes)} are in the lake")
    return Conservation(len(answered), len(rows["prediction_id"]), len(sent), len(outcomes), tuple(problems))


def failed_limits(first: float, served: float, promoted: int, by_hand: int) -> list[str]:
    """Limits for the full year that are not met."""
    missed = []
    if first > MAX_FIRST:
        missed.append(
            f"log-loss of the first version {first:.4f} is above {MAX_FIRST}: it is too weak for a comparison"
        )
    if served > MAX_SERVED:
        missed.append(f"served log-loss {served:.4f} is above {MAX_SERVED}")
    if first - served < MIN_GAIN:
        missed.append(
            f"served log-loss is {first - served:.4f} below that of the first version; expected at least {MIN_GAIN}"
        )
    if promoted < MIN_PROMOTED:
        missed.append(f"{promoted} promotions, expected at least {MIN_PROMOTED}")
    if by_hand:
        missed.append(f"{by_hand} releases were not made by a run")
    return missed
