"""When to try a release again that could not be loaded. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST = 600.0


@dataclass(frozen=True)
class Failure:
    """A release of a model that could not be loaded: why, how often, and when to try again (monotonic seconds)."""

    generation: int
    problem: str
    attempts: int
    retry_at: float


def after_failure(
    before: Failure | None, *, generation: int, problem: str, now: float, first_wait: float
) -> Failure:
    """The failure to remember: waits double while the same release keeps failing, to at most ten minutes."""
    attempts = before.attempts + 1 if before is not None and before.generation == generation else 1
    wait = min(_LONGEST, first_wait * 2 ** (attempts - 1))
    return Failure(generation, problem, attempts, now + wait)


def is_due(failure: Failure | None, *, generation: int, now: float) -> bool:
    """Whether `generation` is to be tried: it is another one than failed, or the wait is over."""
    return failure is None or failure.generation != generation or now >= failure.retry_at
