"""Judges how a canary or shadow works, beside the live version: its failures and, of a canary, its answer times. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from services.retraining.watch.slot_test import ERROR, Counts, log_evidence, log_mean

# Counters of a server since it started, by name: `side.answered`, `side.<failure>`, `side.within.<seconds>`, and
# `live.answered`, `live.failed`, `live.within.<seconds>`.
Counters = Mapping[str, float]

FAILURES: Final = ("failed", "non_finite", "refused", "queued")
WITHIN: Final = "within."
_FAILING: Final = "failures"
# One look proves little, so that the first calls of a model, or one burst, refuse no challenger. An e-value that is cut is one.
_MOST_PER_LOOK: Final = math.log(5.0)


@dataclass(frozen=True)
class Guard:
    """What was counted and found since a phase began. `wealth`: logarithm of the evidence per criterion and odds ratio."""

    seen: Mapping[str, Counters] = field(default_factory=dict)
    counted: Mapping[str, float] = field(default_factory=dict)
    wealth: Mapping[str, list[float]] = field(default_factory=dict)
    highest: float = 0.0
    worst: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether the version is shown to work worse than the live one, with an error of at most `ERROR`."""
        return self.highest >= -math.log(ERROR)

    @property
    def evidence(self) -> float:
        """The highest evidence so far."""
        return math.exp(min(self.highest, math.log(1e15)))

    def count(self, side: str, name: str) -> int:
        """Of `side` or `live`: requests with this result since the phase began."""
        return int(self.counted.get(f"{side}.{name}", 0))

    def to_json(self) -> dict[str, Any]:
        """For the ledger."""
        return {
            "seen": {server: dict(counters) for server, counters in self.seen.items()},
            "counted": dict(self.counted),
            "wealth": dict(self.wealth),
            "highest": self.highest,
            "worst": self.worst,
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Guard:
        """From the ledger; empty before the first look."""
        return cls(**stored)


def observe(guard: Guard, servers: Mapping[str, Counters], *, slot: str, latency_ratio: float) -> Guard:
    """The guard after a look at the counters of `servers`, by address. Those of a server that is new count from now on.

    Each server and look is a stratum of the test. Criteria share the error: failures have half of the weight, answer times the
    other half, over their bounds. Of a shadow only failures are judged: its calls are not made like those of requests.
    """
    found: dict[str, list[float]] = {}
    counted, seen = Counter(guard.counted), dict(guard.seen)
    for server, counters in servers.items():
        before = guard.seen.get(server)
        if before is None:
            seen[server] = dict(counters)
            continue
        increase, seen[server] = _increase(before, counters)
        counted.update(increase)
        for name, logs in _stratum(increase, slot, latency_ratio).items():
            found[name] = _sum(found.get(name), logs)
    wealth = dict(guard.wealth)
    for name, logs in found.items():
        wealth[name] = _sum(wealth.get(name), [min(log, _MOST_PER_LOOK) for log in logs])
    if not found:
        return replace(guard, seen=seen)
    highest, worst = _judge(wealth, slot)
    return Guard(
        seen,
        dict(counted),
        wealth,
        max(guard.highest, highest),
        worst if highest > guard.highest or not guard.worst else guard.worst,
    )


def describe(guard: Guard, slot: str) -> str:
    """What was found, as text."""
    failed = {name: guard.count("side", name) for name in FAILURES if guard.count("side", name)}
    requests = guard.count("side", "answered") + sum(failed.values())
    if guard.worst.startswith(WITHIN):
        limit, bound = guard.worst.removeprefix(WITHIN).split(" ")
        late = guard.count("side", "answered") - guard.count("side", WITHIN + limit)
        live_late = guard.count("live", "answered") - guard.count("live", WITHIN + bound)
        found = (
            f"{late} of {guard.count('side', 'answered')} answers of the {slot} took longer than {limit} s, and "
            f"{live_late} of {guard.count('live', 'answered')} of the live version longer than {bound} s"
        )
    else:
        kinds = ", ".join(f"{name} {count}" for name, count in failed.items()) or "none"
        found = (
            f"{sum(failed.values())} of {requests} requests of the {slot} had no answer ({kinds}), and of the live version "
            f"{guard.count('live', 'failed')} of {guard.count('live', 'failed') + guard.count('live', 'answered')}"
        )
    return f"{found}; evidence that it works worse {guard.evidence:.3g}, needed {1 / ERROR:g}"


def _increase(before: Counters, now: Counters) -> tuple[dict[str, float], Counters]:
    """What was counted between two looks, and what the next look compares with.

    Counters that fell below half began again: the server was restarted. Those that fell less are older ones: of several
    processes of a server each knows the others as they were when they last told, and the next look may ask another one.
    """
    if sum(now.values()) < sum(before.values()) / 2:
        return dict(now), dict(now)
    highest = {**before, **{name: max(value, before.get(name, 0.0)) for name, value in now.items()}}
    return {name: value - before.get(name, 0.0) for name, value in highest.items()}, highest


def _sum(before: list[float] | None, more: list[float]) -> list[float]:
    return [a + b for a, b in zip(before or [0.0] * len(more), more, strict=True)]


def _stratum(found: Counters, slot: str, latency_ratio: float) -> dict[str, list[float]]:
    """The evidence of one server and look, by criterion."""

    def of(name: str) -> int:
        return max(0, int(found.get(name, 0.0)))

    failed = sum(of(f"side.{name}") for name in FAILURES)
    answered = of("side.answered")
    # What a canary could not answer was answered by the live version, and counted there too.
    live_answered = max(0, of("live.answered") - (failed if slot == "canary" else 0))
    live = Counts(live_answered + of("live.failed"), of("live.failed"))
    evidence = {_FAILING: log_evidence(Counts(answered + failed, failed), live)}
    pairs = latency_bounds([name for name in found if name.startswith(f"live.{WITHIN}")], latency_ratio)
    for bound, limit in pairs if slot == "canary" else ():
        late = max(0, answered - of(f"side.{WITHIN}{limit}"))
        live_late = max(0, of("live.answered") - of(f"live.{WITHIN}{bound}"))
        evidence[f"{WITHIN}{limit} {bound}"] = log_evidence(
            Counts(answered, late), Counts(of("live.answered"), live_late)
        )
    return evidence


def latency_bounds(names: list[str], ratio: float) -> list[tuple[str, str]]:
    """Pairs of bounds of a histogram: that of the live version, and the first one that is at least `ratio` times as high.

    A canary that needs at most `ratio` times as long exceeds the second one no more often than live the first.

    >>> latency_bounds(["live.within.0.01", "live.within.0.025", "live.within.0.05", "live.within.+Inf"], 3.0)
    [('0.01', '0.05')]
    """
    bounds = sorted((float(text), text) for name in names if (text := name.split(WITHIN)[1]) != "+Inf")
    found = []
    for value, text in bounds:
        limit = next((other for above, other in bounds if above >= ratio * value), None)
        if limit is not None:
            found.append((text, limit))
    return found


def _judge(wealth: Mapping[str, list[float]], slot: str) -> tuple[float, str]:
    """Logarithm of the mean evidence over all criteria and odds ratios, and the criterion with the most."""

    def mean(values: list[float]) -> float:
        return log_mean(values, [1 / len(values)] * len(values))

    times = [value for name, values in wealth.items() if name != _FAILING for value in values]
    failures = mean(wealth[_FAILING])
    found = failures if slot != "canary" else log_mean([failures, mean(times) if times else 0.0], [0.5, 0.5])
    return found, max(wealth, key=lambda name: max(wealth[name]))
