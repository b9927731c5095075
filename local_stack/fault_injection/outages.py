"""Outages of one process: stopped for some time, or killed once."""

from __future__ import annotations

import time
from collections.abc import Callable

from local_stack.fault_injection.processes import find_process, kill, running_stack, wait_until_restarted
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.restart_suppression import suppress_restarts

RESTART_TIMEOUT_S = 120.0
TICK_S = 0.2
# Restarts are suppressed until the command ends; this bounds the suppression if the command hangs.
SLACK_S = 5.0


def stop_for(
    settings: LocalStackSettings,
    name: str,
    seconds: float,
    *,
    on_progress: Callable[[float], None] = lambda _: None,
    step: Callable[[str], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> float:
    """Kill the process `name` and keep it down for `seconds`. Returns the seconds until it was ready again.

    1. Suppress restarts.   2. Kill the process.   3. Wait; `on_progress` receives the seconds that have passed.
    4. Allow restarts, also after an interrupt. If this process is killed, the suppression is void.
    5. The supervisor restarts the process.
    """
    before = find_process(running_stack(settings), name)
    with suppress_restarts(settings.home, name, seconds + SLACK_S):
        kill(before)
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            tick = min(TICK_S, left)
            pause(tick)
            on_progress(tick)
    return wait_until_restarted(settings.home, before, within_s=RESTART_TIMEOUT_S, on_progress=step)


def kill_and_wait(
    settings: LocalStackSettings, name: str, *, step: Callable[[str], None] = lambda _: None
) -> float:
    """Kill the process `name` once. Returns the seconds until the supervisor has restarted it and it is ready."""
    before = find_process(running_stack(settings), name)
    kill(before)
    return wait_until_restarted(settings.home, before, within_s=RESTART_TIMEOUT_S, on_progress=step)
