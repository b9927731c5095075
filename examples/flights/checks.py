"""What must hold at the end: every answer is in the lake exactly as it was given, and the loop has paid off."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from examples.flights.replay import Answers
from shared.stores.lake import Lake

PATIENCE_S = 60.0
_FROM, _UNTIL = datetime(2012, 1, 1, tzinfo=UTC), datetime(2015, 1, 1, tzinfo=UTC)

MOST_SERVED, LEAST_GAIN, MOST_FROZEN, LEAST_PROMOTED = 0.525, 0.03, 0.60, 3


@dataclass(frozen=True)
class Conservation:
    """Answered rows and told outcomes beside what the lake holds; `problems` are empty when they are the same."""

    answered: int
    in_lake: int
    outcomes_told: int
    outcomes_in_lake: int
    problems: tuple[str, ...]


def wait_for_lake(
    lake: Lake,
    model: str,
    answers: Answers,
    tick: Callable[[], None] = lambda: None,
    patience_s: float = PATIENCE_S,
) -> Conservation:
    """Hold the lake against the answers until they agree, at most `patience_s` seconds."""
    ends = time.monotonic() + patience_s
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
    told = {answers.prediction_id[place] for place in answers.outcome_sent.nonzero()[0]}
    outcomes = lake.read_outcomes(model, _FROM, _UNTIL)["prediction_id"].to_pylist()
    if told != set(outcomes) or len(outcomes) != len(told):
        problems.append(f"{len(told)} outcomes were told, {len(outcomes)} are in the lake")
    return Conservation(len(answered), len(rows["prediction_id"]), len(told), len(outcomes), tuple(problems))


def bars(frozen: float, served: float, promoted: int, by_hand: int) -> list[str]:
    """What the whole year must show, and does not."""
    missed = []
    if frozen > MOST_FROZEN:
        missed.append(f"frozen log-loss {frozen:.4f} is above {MOST_FROZEN}: a straw man")
    if served > MOST_SERVED:
        missed.append(f"served log-loss {served:.4f} is above {MOST_SERVED}")
    if frozen - served < LEAST_GAIN:
        missed.append(f"served is {frozen - served:.4f} below frozen, wanted {LEAST_GAIN}")
    if promoted < LEAST_PROMOTED:
        missed.append(f"{promoted} promotions, wanted {LEAST_PROMOTED}")
    if by_hand:
        missed.append(f"{by_hand} releases were made by hand")
    return missed
