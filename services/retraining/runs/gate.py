"""The gate: may the challenger take the champion's place? Pure; what was measured comes in, the answer and its reasons go out."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import timedelta
from hashlib import sha256
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from shared.contracts.loop_spec import Gate

Losses = npt.NDArray[np.float64]

_FEWEST_BLOCKS = 10
_BLOCKS = (timedelta(days=1), timedelta(hours=6), timedelta(hours=1))


@dataclass(frozen=True)
class Gain:
    """How much smaller the challenger's loss is, in the metric's unit; `lower` is the interval's one-sided lower end."""

    mean: float
    lower: float
    blocks: int
    block: str


@dataclass(frozen=True)
class Check:
    """One of the gate's conditions and what was found."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True)
class GateResult:
    """What was measured, and each check. `digest` names it: an approval is bound to it."""

    version: str
    champion: str
    rows: int
    metric: str
    champion_loss: float | None
    challenger_loss: float | None
    gain: Gain | None
    latency_ratio: float | None
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def sentence(self) -> str:
        """The answer for a person: what failed, or what was gained."""
        failed = [check.sentence for check in self.checks if not check.passed]
        return "; ".join(failed or [check.sentence for check in self.checks])

    def to_json(self) -> dict[str, Any]:
        """For the ledger and for people."""
        result = {
            **asdict(self),
            "checks": [asdict(check) for check in self.checks],
            "passed": self.passed,
            "sentence": self.sentence,
        }
        if self.gain is not None and not math.isfinite(self.gain.lower):
            result["gain"]["lower"] = None  # JSON has no infinity
        return result

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest_of(self.to_json())


def compared(result: dict[str, Any]) -> bool:
    """Whether a gate result, as it is kept, rests on a comparison, or nothing was served that it could be held against.

    Where a champion is served that could not answer the rows, passing proves nothing about it: only a person may promote then.
    """
    return result["gain"] is not None or not result["champion"]


def digest_of(result: dict[str, Any]) -> str:
    """SHA-256 of a gate result as it is kept."""
    return sha256(orjson.dumps(result, option=orjson.OPT_SORT_KEYS)).hexdigest()


def judge(
    spec: Gate,
    *,
    version: str,
    champion: str,
    metric: str,
    moments: npt.NDArray[np.int64],
    champion_losses: Losses | None,
    challenger_losses: Losses,
    champion_latency: float | None,
    challenger_latency: float,
    root: bool = False,
) -> GateResult:
    """Hold the challenger against the champion on the same rows.

    `moments` is event time in microseconds, ascending; losses are per row, in the same order; latencies are seconds per call.
    `root`: the metric is the root of the mean loss (rmse). Without a champion's losses nothing is proven
    about it: the check passes, and `compared` tells that a person must decide; `champion` is empty where nothing is served.
    """
    rows = len(challenger_losses)
    checks = [Check("rows", rows >= spec.minimum_rows, f"{rows} holdout rows, wanted {spec.minimum_rows}")]
    gain = ratio = before = None
    after = _metric(challenger_losses, root)
    if champion_losses is None:
        told = (
            "the champion takes features these rows do not have, so nothing says which is better: a person decides"
            if champion
            else "nothing is served yet, so there is nothing to beat"
        )
        checks.append(Check("gain", True, told))
    elif rows:
        before = _metric(champion_losses, root)
        gain = gain_of(champion_losses, challenger_losses, moments, spec.confidence, root=root)
        good = gain.lower > spec.minimum_gain
        checks.append(
            Check(
                "gain",
                good,
                f"{metric} {before:.5f} → {after:.5f}, gain {gain.mean:+.5f}; with {spec.confidence:.0%} confidence at least "
                f"{gain.lower:+.5f}, wanted more than {spec.minimum_gain:g}",
            )
        )
    if champion_latency is not None:
        ratio = challenger_latency / max(champion_latency, 1e-9)
        checks.append(
            Check(
                "latency",
                ratio <= spec.maximum_latency_ratio,
                f"a call takes {ratio:.2f} times the champion's, at most {spec.maximum_latency_ratio:g}",
            )
        )
    return GateResult(
        version, champion, rows, metric, before, after if rows else None, gain, ratio, tuple(checks)
    )


def gain_of(
    champion: Losses,
    challenger: Losses,
    moments: npt.NDArray[np.int64],
    confidence: float,
    *,
    root: bool = False,
) -> Gain:
    """Mean paired difference of losses, with the lower end of a one-sided block-t interval.

    Neighbouring rows err together, so rows are not independent evidence. Their differences are summed over blocks of event
    time (the longest of a day, six hours and an hour that gives at least ten blocks; else ten blocks of equal size), and the
    spread between blocks, not between rows, makes the interval. For rmse it is carried from mean squares to roots (delta method).
    """
    difference = champion - challenger
    mean = float(difference.mean())
    number, name = _blocks(moments)
    blocks = int(number[-1]) + 1
    if blocks < 2:
        return Gain(mean, -math.inf, blocks, name)
    sums = np.bincount(number, weights=difference - mean, minlength=blocks)
    error = math.sqrt(float(sums @ sums) * blocks / (blocks - 1)) / len(difference)
    lower = mean - student_quantile(confidence, blocks - 1) * error
    if root:
        scale = math.sqrt(float(champion.mean())) + math.sqrt(float(challenger.mean()))
        mean, lower = (mean / scale, lower / scale) if scale else (0.0, 0.0)
    return Gain(mean, lower, blocks, name)


def student_quantile(confidence: float, degrees: int) -> float:
    """Student's t quantile by the Cornish-Fisher series; within 0.5 % from 9 degrees of freedom on, up to 0.995."""
    z = NormalDist().inv_cdf(confidence)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    series: float = sum(term / degrees ** (power + 1) for power, term in enumerate(terms))
    return z + series


def _blocks(moments: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], str]:
    for length in _BLOCKS:
        number = moments // int(length.total_seconds() * 1e6)
        _, dense = np.unique(number, return_inverse=True)
        if dense[-1] + 1 >= _FEWEST_BLOCKS:
            return dense, f"{length.total_seconds() / 3600:g} h"
    count = min(_FEWEST_BLOCKS, len(moments))
    return np.arange(len(moments)) * count // len(moments), f"{len(moments) / count:g} rows"


def _metric(losses: Losses, root: bool) -> float:
    if len(losses) == 0:
        return math.nan
    mean = float(losses.mean())
    return math.sqrt(mean) if root else mean
