"""Simulated canaries at 50 requests per second, judged by the real guard each second: as good as live, or broken in one way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.inference.histogram import CALL_BUCKETS
from services.retraining.watch.operational_guard import WITHIN, Guard, observe

PER_SECOND: Final = 50
SHARE: Final = 0.1
LATENCY_RATIO: Final = 3.0


@dataclass(frozen=True)
class Fault:
    """What is wrong with a canary: the share of its requests with this result, and how many times as long it takes."""

    name: str
    result: str = "failed"
    share: float = 0.0
    slower: float = 1.0


FAULTS: Final = (
    Fault("every request fails", "failed", 1.0),
    Fault("a third of the requests fail", "failed", 0.33),
    Fault("NaN for half of the rows", "non_finite", 0.5),
    Fault("refuses half of the rows", "refused", 0.5),
    Fault("its queue is full half of the time", "queued", 0.5),
    Fault("ten times as slow", slower=10.0),
)


def seconds_until_refused(random: np.random.Generator, fault: Fault | None, seconds: int) -> int | None:
    """After how many seconds the guard refuses the canary; None if it does not within `seconds`. Without a fault it is as good.

    Load changes from second to second and slows both slots; in one second of 50, half of all requests fail.
    """
    total = Counter(_zero())
    guard = _look(Guard(), total)
    for second in range(1, seconds + 1):
        load = float(random.lognormal(0.0, 0.5))
        burst = 0.5 if random.random() < 1 / 50 else 0.001
        _serve(random, total, fault or Fault("none"), load, burst)
        guard = _look(guard, total)
        if guard.is_bad:
            return second
    return None


def _look(guard: Guard, total: Counter[str]) -> Guard:
    return observe(guard, {"server": dict(total)}, slot="canary", latency_ratio=LATENCY_RATIO)


def _zero() -> dict[str, int]:
    return {f"{side}.{WITHIN}{bound}": 0 for side in ("side", "live") for bound in CALL_BUCKETS}


def _serve(random: np.random.Generator, total: Counter[str], fault: Fault, load: float, burst: float) -> None:
    requests = int(random.poisson(PER_SECOND))
    canaries = int(random.binomial(requests, SHARE))
    failed = int(random.binomial(canaries, fault.share)) if fault.share else 0
    bursting = int(random.binomial(canaries - failed, burst))
    live_failed = int(random.binomial(requests - canaries, burst))
    total[f"side.{fault.result}"] += failed
    total["side.queued"] += bursting
    total["live.failed"] += live_failed
    # The live version answers what the canary does not.
    _answer(random, total, "side", canaries - failed - bursting, 0.004 * load * fault.slower)
    _answer(random, total, "live", requests - canaries - live_failed + failed + bursting, 0.004 * load)


def _answer(random: np.random.Generator, total: Counter[str], side: str, count: int, scale: float) -> None:
    total[f"{side}.answered"] += count
    took = np.sort(scale * random.lognormal(0.0, 0.6, count))
    for bound, within in zip(CALL_BUCKETS, np.searchsorted(took, CALL_BUCKETS, side="right"), strict=True):
        total[f"{side}.{WITHIN}{bound}"] += int(within)
