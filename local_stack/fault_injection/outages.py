"""A part that is gone for a while, or dies once: what the supervisor and the others make of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from local_stack.fault_injection.processes import kill, part_of, stack_of, wait_until_back
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.restart_suppression import hold

BACK_WITHIN_S = 120.0
TICK_S = 0.2
# The hold ends with the command; its own end only bounds what a holder that hangs could do.
SLACK_S = 5.0


def take_down(
    settings: LocalStackSettings,
    part: str,
    seconds: float,
    *,
    on_progress: Callable[[float], None] = lambda _: None,
    step: Callable[[str], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> float:
    """End `part` as a power cut would, keep it down for `seconds`; returns the seconds it then took to be ready again.

    1. The hold is written: nothing starts it again.   2. It is killed.   3. The time passes; `on_progress` hears how much.
    4. The hold is taken away, also when we are interrupted; when we are killed, it is void.   5. The supervisor starts it.
    """
    before = part_of(stack_of(settings), part)
    with hold(settings.home, part, seconds + SLACK_S):
        kill(before)
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            nap = min(TICK_S, left)
            pause(nap)
            on_progress(nap)
    return wait_until_back(settings.home, before, within_s=BACK_WITHIN_S, on_progress=step)


def kill_once(
    settings: LocalStackSettings, part: str, *, step: Callable[[str], None] = lambda _: None
) -> float:
    """End `part` once as a power cut would; the seconds until the supervisor has it ready again."""
    before = part_of(stack_of(settings), part)
    kill(before)
    return wait_until_back(settings.home, before, within_s=BACK_WITHIN_S, on_progress=step)
