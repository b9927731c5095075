"""When to retry loading a release after a failure. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

from shared.backoff import Backoff

_MAX_PAUSE_S = 600.0


@dataclass(frozen=True)
class Failure:
    """A failed load: the problem, the number of attempts, and when to retry (monotonic seconds)."""

    generation: int
    problem: str
    attempts: int
    retry_at: float


def after_failure(
    before: Failure | None,
    *,
    generation: int,
    problem: str,
    now: float,
    first_wait: float,
    longest_wait: float = _MAX_PAUSE_S,
) -> Failure:
    """The new failure; the pause doubles while the same release fails, by default up to ten minutes."""
    attempts = before.attempts + 1 if before is not None and before.generation == generation else 1
    pause = Backoff(first_s=first_wait, max_s=longest_wait).pause(attempts)
    return Failure(generation, problem, attempts, now + pause)


def is_due(failure: Failure | None, *, generation: int, now: float) -> bool:
    """Whether to load `generation` now: another one failed, or the pause is over."""
    return failure is None or failure.generation != generation or now >= failure.retry_at
