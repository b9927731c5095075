"""The gate: decides from measurements whether the challenger may replace the champion. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import numpy as np
import orjson

from services.retraining.gate_checks.check import Check, Measured
from services.retraining.gate_checks.gain import Gain, Losses, Timestamps, gain_of, total_metric
from services.retraining.gate_checks.repeated_attempts import attempt_confidence
from shared.contracts.retraining_spec import Gate

_POINTS = 100


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
    """Measurements and checks. An approval refers to the `digest`. `measures`: numbers of checks by name, as JSON."""

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
    measures: Mapping[str, Any] = field(default_factory=dict)

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
        for name, empty in (("reported", not self.reported.challenger), ("measures", not self.measures)):
            if empty:
                del result[name]
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
    timestamps: Timestamps,
    champion_losses: Losses | None,
    challenger_losses: Losses,
    latency_ratio: float | None,
    latency_rows: int = 1,
    root: bool = False,
    reported: Reported = Reported(),
    attempt: int = 1,
    measured: Sequence[Measured] = (),
) -> GateResult:
    """Compare the challenger with the champion on the same rows.

    `timestamps` is event time in microseconds, ascending; losses are per row, in the same order. `latency_ratio`: of
    calls of `latency_rows` rows, the challenger's duration to the champion's; None if they were not measured.
    `root`: the metric is the root of the mean loss (rmse). Without the champion's losses the gain check
    passes, `compared` is False and a person must decide; `champion` is empty if nothing is served. `reported` decides nothing.
    `attempt`: this comparison's number among those with the same champion on overlapping holdouts. `measured`: the other checks.
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
    measures: dict[str, Any] = {}
    after = total_metric(challenger_losses, root)
    if champion_losses is None:
        reason = (
            "the champion cannot be scored on these rows (it needs other features or types, or has another kind of prediction), "
            "so the versions cannot be compared; a person must approve"
            if champion
            else "nothing is served yet, so there is no champion to compare with"
        )
        checks.append(Check("gain", True, reason + reported.text))
    elif rows:
        before = total_metric(champion_losses, root)
        confidence = attempt_confidence(spec.confidence, attempt)
        gain = gain_of(champion_losses, challenger_losses, timestamps, confidence, root=root)
        measures |= {
            "attempt": attempt,
            "confidence": confidence,
            "curve": _curve(champion_losses - challenger_losses, timestamps),
        }
        sufficient = gain.lower > spec.minimum_gain
        checks.append(
            Check(
                "gain",
                sufficient,
                f"{metric} {before:.5f} → {after:.5f}, gain {gain.mean:+.5f}; with {_percent(confidence)} confidence"
                f"{_repeated(attempt)} at least {gain.lower:+.5f}, required more than {spec.minimum_gain:g}{reported.text}",
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
    checks += [one.check for one in measured if one.check is not None]
    measures |= {one.name: one.numbers for one in measured}
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
        measures,
    )


def _percent(confidence: float) -> str:
    """Rounded down where it is not a whole number: 99.99 % is not all.

    >>> _percent(0.9), _percent(0.98480), _percent(0.999999)
    ('90%', '98.48%', '99.99%')
    """
    return f"{math.floor(confidence * 10_000 + 1e-6) / 100:g}%"


def _repeated(attempt: int) -> str:
    return f" (attempt {attempt} against this champion on overlapping holdouts)" if attempt > 1 else ""


def _curve(differences: Losses, timestamps: Timestamps) -> list[tuple[str, float]]:
    """The sum of the differences up to an event time, divided by all rows, at up to 100 times; the last is the mean gain.

    >>> _curve(np.array([0.5, -0.25, 0.5]), np.array([0, 1, 2]) * 86_400_000_000)[-1]
    ('1970-01-03T00:00:00+00:00', 0.25)
    """
    total = np.cumsum(differences) / len(differences)
    places = np.unique(np.linspace(0, len(total) - 1, min(_POINTS, len(total))).round().astype(int))
    return [
        (
            datetime.fromtimestamp(timestamps[place] / 1e6, UTC).isoformat(timespec="seconds"),
            float(total[place]),
        )
        for place in places
    ]
