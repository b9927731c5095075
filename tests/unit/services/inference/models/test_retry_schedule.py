from __future__ import annotations

from services.inference.models.retry_schedule import Failure, after_failure, is_due


def test_pause_doubles_per_release() -> None:
    failure: Failure | None = None
    waits = []
    for _ in range(8):
        failure = after_failure(failure, generation=4, problem="broken", now=100.0, first_wait=10.0)
        waits.append(failure.retry_at - 100.0)
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]
    assert (
        after_failure(failure, generation=5, problem="broken", now=100.0, first_wait=10.0).retry_at == 110.0
    )


def test_new_release_is_due_at_once() -> None:
    failure = Failure(generation=4, problem="broken", attempts=1, retry_at=110.0)
    assert is_due(None, generation=4, now=0.0)
    assert not is_due(failure, generation=4, now=109.9)
    assert is_due(failure, generation=4, now=110.0)
    assert is_due(failure, generation=5, now=0.0)
