"""A member without partitions joins again, in ever longer pauses."""

from __future__ import annotations

from shared.messaging.polling.assignment_watch import FIRST_S, MAX_PAUSE_S, AssignmentWatch


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_member_without_partitions_joins_again_after_the_pause() -> None:
    clock = Clock()
    watch = AssignmentWatch(clock)
    assert not watch.must_rejoin(has_partitions=False)
    clock.now += FIRST_S - 0.1
    assert not watch.must_rejoin(has_partitions=False)
    clock.now += 0.1
    assert watch.must_rejoin(has_partitions=False)
    assert not watch.must_rejoin(has_partitions=False)


def test_pauses_double_up_to_a_limit() -> None:
    clock = Clock()
    watch = AssignmentWatch(clock)
    pauses = []
    for _ in range(9):
        assert not watch.must_rejoin(has_partitions=False)
        began = clock.now
        while not watch.must_rejoin(has_partitions=False):
            clock.now += 1
        pauses.append(clock.now - began)
    assert pauses[:4] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S]
    assert pauses[-2:] == [MAX_PAUSE_S, MAX_PAUSE_S]


def test_partitions_end_the_pause() -> None:
    clock = Clock()
    watch = AssignmentWatch(clock)
    watch.must_rejoin(has_partitions=False)
    clock.now += FIRST_S - 1
    assert not watch.must_rejoin(has_partitions=True)
    clock.now += 2
    assert not watch.must_rejoin(has_partitions=False)
