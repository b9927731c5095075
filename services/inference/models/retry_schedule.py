"""When to try a release again that could not be loaded. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from shared.backoff import Backoff

_MAX_PAUSE_S = 600.0


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
    pause = Backoff(first_s=first_wait, max_s=_MAX_PAUSE_S).pause(attempts)
    return Failure(generation, problem, attempts, now + pause)


def is_due(failure: Failure | None, *, generation: int, now: float) -> bool:
    """Whether `generation` is to be tried: it is another one than failed, or the wait is over."""
    return failure is None or failure.generation != generation or now >= failure.retry_at
