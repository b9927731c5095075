from __future__ import annotations

import pytest

from shared.http.connections import Connections, Limits


class FakeConnection:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("files", [64, 128, 256, 1024, 65_536])
def test_limits_leave_files_for_everything_else(files: int) -> None:
    limits = Limits.for_files(files)
    assert limits.connections > limits.backlog >= 4
    assert limits.connections + 3 * limits.backlog <= max(96, files - 32)
    assert limits.connections <= 1000


def test_oldest_connection_that_owes_a_request_is_closed_for_a_new_one() -> None:
    connections = Connections(Limits(3, 4))
    answering, slow, slower, new, newest = (FakeConnection() for _ in range(5))
    for one in (answering, slow, slower):
        connections.opened(one)
    connections.received(answering)
    connections.opened(new)
    assert [one.aborted for one in (answering, slow, slower, new)] == [False, True, False, False]
    connections.received(slower)
    connections.receiving(slower)  # its response is sent, it is the newest of the idle ones
    connections.opened(newest)
    assert [one.aborted for one in (answering, slower, new, newest)] == [False, False, True, False]
    assert len(connections) == 3


def test_new_connection_is_closed_where_all_others_are_being_answered() -> None:
    connections = Connections(Limits(2, 4))
    busy = [FakeConnection(), FakeConnection()]
    for one in busy:
        connections.opened(one)
        connections.received(one)
    late = FakeConnection()
    connections.opened(late)
    assert late.aborted
    assert not any(one.aborted for one in busy)
    connections.closed(busy[0])
    free = FakeConnection()
    connections.opened(free)
    assert not free.aborted
    connections.receiving(late)  # an event of a connection that is gone
    connections.closed(late)
    assert len(connections) == 2
