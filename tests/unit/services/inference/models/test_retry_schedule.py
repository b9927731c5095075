from __future__ import annotations

from services.inference.models.retry_schedule import Failure, after_failure, is_due


def test_waits_double_while_the_same_release_fails_and_start_anew_with_another() -> None:
    failure: Failure | None = None
    waits = []
    for _ in range(8):
        failure = after_failure(failure, generation=4, problem="broken", now=100.0, first_wait=10.0)
        waits.append(failure.retry_at - 100.0)
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]
    assert (
        after_failure(failure, generation=5, problem="broken", now=100.0, first_wait=10.0).retry_at == 110.0
    )


def test_another_release_is_tried_at_once_and_the_same_after_its_wait() -> None:
    failure = Failure(generation=4, problem="broken", attempts=1, retry_at=110.0)
    assert is_due(None, generation=4, now=0.0)
    assert not is_due(failure, generation=4, now=109.9)
    assert is_due(failure, generation=4, now=110.0)
    assert is_due(failure, generation=5, now=0.0)
