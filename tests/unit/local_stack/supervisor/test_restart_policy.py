"""Restarts: pauses double while deaths follow one another, and a steady life forgives."""

from __future__ import annotations

from local_stack.supervisor.restart_policy import (
    BACKOFF,
    STEADY_AFTER_S,
    Restarts,
    stop_order,
)


def test_pauses_double_up_to_the_maximum() -> None:
    restarts = Restarts()
    pauses = []
    for _ in range(9):
        restarts = restarts.died(started=100.0, now=101.0)
        assert restarts.due is not None
        pauses.append(restarts.due - 101.0)
        restarts = restarts.started()
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert restarts.count == 9


def test_long_run_resets_the_pause() -> None:
    tried = Restarts().died(started=0.0, now=1.0).started().died(started=2.0, now=3.0).started()
    assert tried.in_a_row == 2
    again = tried.died(started=4.0, now=4.0 + STEADY_AFTER_S)
    assert again.due == 4.0 + STEADY_AFTER_S + BACKOFF.first_s
    assert again.count == 2


def test_due_only_after_the_pause() -> None:
    dead = Restarts().died(started=10.0, now=10.0)
    assert not dead.is_due(10.4)
    assert dead.is_due(10.5)
    assert not dead.started().is_due(99.0)
    assert not Restarts().is_due(99.0)


def test_processes_stop_in_reverse_order() -> None:
    assert stop_order(["kafka", "sink", "inference"]) == ["inference", "sink", "kafka"]
