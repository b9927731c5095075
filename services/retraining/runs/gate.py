"""The gate: decides from measurements whether the challenger may replace the champion. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from scipy.special import stdtrit

from shared.contracts.retraining_spec import Gate

Losses = npt.NDArray[np.float64]

_MIN_BLOCKS = 10
_BLOCKS = (timedelta(days=1), timedelta(hours=6), timedelta(hours=1))


@dataclass(frozen=True)
class Gain:
    """The reduction of the loss in the metric's unit; `lower` is the one-sided lower confidence bound."""

    mean: float
    lower: float
    blocks: int
    block: str


@dataclass(frozen=True)
class Check:
    """One condition of the gate and its result."""

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Reported:
    """Metrics by name that are reported beside the loss and not gated, of both models; none of the champion if not compared."""

    champion: Mapping[str, float] | None = None
    challenger: Mapping[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """As part of a sentence; empty if there are none."""
        before = self.champion or {}
        parts = [
            f"{name} {before[name]:.3f} → {value:.3f}" if name in before else f"{name} {value:.3f}"
            for name, value in self.challenger.items()
        ]
        return "".join(f"; {part}" for part in parts)


@dataclass(frozen=True)
class GateResult:
    """Measurements and checks. An approval refers to the `digest`."""

    version: str
    champion: str
    rows: int
    metric: str
    champion_loss: float | None
    challenger_loss: float | None
    gain: Gain | None
    latency_ratio: float | None
    checks: tuple[Check, ...]
    reported: Reported = Reported()

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        """The failed checks, or all checks if none failed, as text."""
        failed = [check.reason for check in self.checks if not check.passed]
        return "; ".join(failed or [check.reason for check in self.checks])

    def to_json(self) -> dict[str, Any]:
        """As JSON for the ledger."""
        result = {
            **asdict(self),
            "checks": [asdict(check) for check in self.checks],
            "passed": self.passed,
            "reason": self.reason,
        }
        if not self.reported.challenger:
            del result["reported"]
        if self.gain is not None and not math.isfinite(self.gain.lower):
            result["gain"]["lower"] = None  # JSON has no infinity
        return result

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest_of(self.to_json())


def compared(result: dict[str, Any]) -> bool:
    """Whether a stored gate result includes a comparison with the champion, or there was no champion.

    If the champion could not score the rows, only a person may promote the challenger.
    """
    return result["gain"] is not None or not result["champion"]


def digest_of(result: dict[str, Any]) -> str:
    """SHA-256 of a stored gate result."""
    return sha256(orjson.dumps(result, option=orjson.OPT_SORT_KEYS)).hexdigest()


def evaluate_gate(
    spec: Gate,
    *,
    version: str,
    champion: str,
    metric: str,
    timestamps: npt.NDArray[np.int64],
    champion_losses: Losses | None,
    challenger_losses: Losses,
    latency_ratio: float | None,
    latency_rows: int = 1,
    root: bool = False,
    reported: Reported = Reported(),
) -> GateResult:
    """Compare the challenger with the champion on the same rows.

    `timestamps` is event time in microseconds, ascending; losses are per row, in the same order. `latency_ratio`: of
    calls of `latency_rows` rows, the challenger's duration to the champion's; None if they were not measured.
    `root`: the metric is the root of the mean loss (rmse). Without the champion's losses the gain check
    passes, `compared` is False and a person must decide; `champion` is empty if nothing is served. `reported` decides nothing.
    """
    rows = len(challenger_losses)
    checks = [
        Check(
            "rows",
            rows >= spec.minimum_rows,
            f"{rows} holdout rows, gate.minimum_rows is {spec.minimum_rows}",
        )
    ]
    gain = before = None
    after = _metric(challenger_losses, root)
    if champion_losses is None:
        reason = (
            "the champion cannot be scored on these rows (it needs other features, or has another kind of prediction), so the "
            "versions cannot be compared; a person must approve"
            if champion
            else "nothing is served yet, so there is no champion to compare with"
        )
        checks.append(Check("gain", True, reason + reported.text))
    elif rows:
        before = _metric(champion_losses, root)
        gain = gain_of(champion_losses, challenger_losses, timestamps, spec.confidence, root=root)
        sufficient = gain.lower > spec.minimum_gain
        checks.append(
            Check(
                "gain",
                sufficient,
                f"{metric} {before:.5f} → {after:.5f}, gain {gain.mean:+.5f}; with {spec.confidence:.0%} confidence at least "
                f"{gain.lower:+.5f}, required more than {spec.minimum_gain:g}{reported.text}",
            )
        )
    if latency_ratio is not None:
        checks.append(
            Check(
                "latency",
                latency_ratio <= spec.maximum_latency_ratio,
                f"a call of {latency_rows} row{'s' if latency_rows > 1 else ''} takes {latency_ratio:.2f} times as long as the "
                f"champion's; gate.maximum_latency_ratio is {spec.maximum_latency_ratio:g}",
            )
        )
    return GateResult(
        version,
        champion,
        rows,
        metric,
        before,
        after if rows else None,
        gain,
        latency_ratio,
        tuple(checks),
        reported,
    )


def gain_of(
    champion: Losses,
    challenger: Losses,
    timestamps: npt.NDArray[np.int64],
    confidence: float,
    *,
    root: bool = False,
) -> Gain:
    """Mean paired difference of losses, with the lower end of its one-sided confidence interval.

    With n rows, differences d_i and B blocks of event time (see `_blocks`):

        mean  = sum(d_i) / n
        S_b   = sum over the rows of block b of (d_i - mean)
        error = sqrt(B / (B - 1) * sum(S_b ** 2)) / n
        lower = mean - t(confidence, B - 1) * error

    Comparing two predictors by the mean of their paired loss differences: Diebold and Mariano, Comparing predictive accuracy,
    Journal of Business & Economic Statistics 13 (1995). Losses of neighbouring rows are correlated, so the error is clustered by
    block: Liang and Zeger, Longitudinal data analysis using generalized linear models, Biometrika 73 (1986), with the factor
    B / (B - 1) and B - 1 degrees of freedom for few clusters: Cameron and Miller, A practitioner's guide to cluster-robust
    inference, Journal of Human Resources 50 (2015), section VI.

    For rmse (`root`) losses are squares, and sqrt(a) - sqrt(b) = (a - b) / (sqrt(a) + sqrt(b)) carries the mean to roots; the
    interval is divided by the same number, taken as known (delta method: van der Vaart, Asymptotic Statistics (1998), chapter 3).

    >>> random = np.random.default_rng(1)
    >>> hourly = np.arange(480) * 3_600_000_000
    >>> champion = random.normal(0.60, 0.10, 480)
    >>> gain = gain_of(champion, champion - random.normal(0.05, 0.10, 480), hourly, 0.9)
    >>> gain.blocks, gain.block, round(gain.mean, 3), round(gain.lower, 3)
    (20, '24 h', 0.044, 0.036)

    The same differences in blocks of one size: the textbook interval of a mean of block means.

    >>> from scipy.stats import t
    >>> means = np.array([0.01, 0.03, 0.02, 0.05, 0.04, 0.03, 0.02, 0.06, 0.01, 0.03])
    >>> gain = gain_of(np.repeat(means, 24), np.zeros(240), np.arange(240) * 3_600_000_000, 0.9)
    >>> error = means.std(ddof=1) / np.sqrt(10)
    >>> bool(np.isclose(gain.lower, means.mean() - t.ppf(0.9, 9) * error))
    True
    """
    difference = champion - challenger
    mean = float(difference.mean())
    number, name = _blocks(timestamps)
    blocks = int(number[-1]) + 1
    if blocks < 2:
        return Gain(mean, -math.inf, blocks, name)
    sums = np.bincount(number, weights=difference - mean, minlength=blocks)
    error = math.sqrt(float(sums @ sums) * blocks / (blocks - 1)) / len(difference)
    lower = (
        mean - float(stdtrit(blocks - 1, confidence)) * error
    )  # scipy.stats.t.ppf without the second its import costs
    if root:
        scale = math.sqrt(float(champion.mean())) + math.sqrt(float(challenger.mean()))
        mean, lower = (mean / scale, lower / scale) if scale else (0.0, 0.0)
    return Gain(mean, lower, blocks, name)


def _blocks(timestamps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], str]:
    """The block number of each row, from 0 without gaps, and the blocks' length in words.

    The longest of a day, six hours and an hour that gives at least ten blocks; else ten blocks of equal size. Blocks have to be
    long against the correlation of losses, and their number large enough for the t interval: Ibragimov and Müller, t-statistic
    based correlation and heterogeneity robust inference, Journal of Business & Economic Statistics 28 (2010).

    >>> number, length = _blocks(np.arange(72) * 3_600_000_000)
    >>> int(number[-1]) + 1, length
    (12, '6 h')
    >>> number, length = _blocks(np.arange(25) * 60_000_000)
    >>> int(number[-1]) + 1, length
    (10, '2.5 rows')
    """
    for length in _BLOCKS:
        number = timestamps // int(length.total_seconds() * 1e6)
        _, dense = np.unique(number, return_inverse=True)
        if dense[-1] + 1 >= _MIN_BLOCKS:
            return dense, f"{length.total_seconds() / 3600:g} h"
    count = min(_MIN_BLOCKS, len(timestamps))
    return np.arange(len(timestamps)) * count // len(timestamps), f"{len(timestamps) / count:g} rows"


def _metric(losses: Losses, root: bool) -> float:
    """The mean loss; for rmse its root (Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2009, section 7.2).

    >>> _metric(np.array([1.0, 9.0]), root=False), round(_metric(np.array([1.0, 9.0]), root=True), 3)
    (5.0, 2.236)
    """
    if len(losses) == 0:
        return math.nan
    mean = float(losses.mean())
    return math.sqrt(mean) if root else mean
