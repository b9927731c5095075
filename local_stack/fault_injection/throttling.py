"""A part made slow: stopped and continued in pulses by a guard, a process of its own, and continued whatever happens to us."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from local_stack.fault_injection.processes import part_of, send, stack_of, tree_of
from local_stack.settings import LocalStackSettings
from local_stack.supervisor.process_specs import SOURCES

TICK_S = 0.2
ENDING_S = 15.0


def slow_down(
    settings: LocalStackSettings,
    part: str,
    seconds: float,
    *,
    pause_s: float,
    every_s: float,
    on_progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Stop `part` for `pause_s` out of every `every_s` seconds, for `seconds` in all.

    Three ends lead to a part that runs: the guard's own, when the time is over; the end of our pipe to it, when we are
    interrupted or killed; and ours, should the guard be the one that dies.
    """
    process = part_of(stack_of(settings), part)
    guard = subprocess.Popen(
        [
            *(sys.executable, "-m", "local_stack.fault_injection.throttle_process"),
            *(str(process.pid), repr(process.created), repr(seconds), repr(pause_s), repr(every_s)),
        ],
        stdin=subprocess.PIPE,
        cwd=SOURCES,
        start_new_session=True,
    )
    assert guard.stdin is not None
    # All that the guard may have stopped: when the part itself dies, its children cannot be found through it any more.
    seen = set(tree_of(process))
    try:
        ends = time.monotonic() + seconds
        while guard.poll() is None and (left := ends - time.monotonic()) > 0:
            nap = min(TICK_S, left)
            time.sleep(nap)
            on_progress(nap)
            seen.update(tree_of(process))
    finally:
        with suppress(OSError):
            guard.stdin.close()
        try:
            guard.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait(ENDING_S)
        send(list(seen), signal.SIGCONT)
