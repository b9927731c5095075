"""The process that stops and continues a part in pulses: `python -m …throttle_process PID CREATED SECONDS PAUSE EVERY`.

It ends, and leaves the part running, when its time is over, when its standard input ends (who started it is gone) or on SIGTERM.
"""

from __future__ import annotations

import select
import signal
import sys
import time

import psutil

from local_stack.fault_injection.limits import LONGEST_S
from local_stack.fault_injection.processes import send, tree_of
from local_stack.state import ProcessState


def pulse(process: ProcessState, seconds: float, pause_s: float, every_s: float) -> None:
    """Stop the part's whole tree for `pause_s` out of every `every_s` seconds; at the end it runs."""
    ends = time.monotonic() + min(seconds, LONGEST_S)
    stopped: list[psutil.Process] = []
    try:
        while (left := ends - time.monotonic()) > 0:
            stopped = tree_of(process)
            send(stopped, signal.SIGSTOP)
            over = _is_over(min(pause_s, left))
            # Those that were stopped, not those that are found now: once the part itself has died, its children are nobody's.
            send(stopped, signal.SIGCONT)
            if over or _is_over(min(every_s - pause_s, max(0.0, ends - time.monotonic()))):
                return
    finally:
        send(stopped, signal.SIGCONT)


def _is_over(within_s: float) -> bool:
    """Wait; True as soon as standard input ends."""
    readable, _, _ = select.select([sys.stdin], [], [], within_s)
    return bool(readable)


def _end(*_: object) -> None:
    raise SystemExit(0)


def main() -> None:
    """Guard the process the command line names."""
    pid, created, seconds, pause_s, every_s = sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _end)
    process = ProcessState(
        name="", pid=int(pid), created=float(created), port=0, restarts=0, log="", ready_url=""
    )
    pulse(process, float(seconds), float(pause_s), float(every_s))


if __name__ == "__main__":
    main()
