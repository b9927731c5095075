"""Run named commands side by side, and leave no process behind however the run ends.

`python -m tests.parallel_commands TITLE NAME=COMMAND...` shows the output of the last command at once, that of the others when
they end, and ends with one line. Every process that a command starts, a daemon included, stays a descendant of this one, since
Linux gives an orphan to the nearest subreaper. They are killed when the commands are over and on SIGINT, SIGTERM and SIGHUP.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
END_S = 10.0


def end_descendants(within_s: float) -> int:
    """Kill everything that this process and its children started; returns how many processes were left."""
    left = set()
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        # Zombies of daemons are ours to collect.
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    break
            except ChildProcessError:
                break
        alive = psutil.Process().children(recursive=True)
        if not alive:
            break
        for process in alive:
            left.add(process.pid)
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        time.sleep(0.05)
    return len(left)


@dataclass
class Job:
    """One command with its output; `output` is None where it goes straight to the terminal."""

    name: str
    process: subprocess.Popen[bytes]
    output: IO[bytes] | None
    code: int | None = None
    seconds: float = 0.0


def _tied_to_us() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def start(name: str, command: str, output: IO[bytes] | None) -> Job:
    """Start a shell command that is asked to stop if this process dies."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        preexec_fn=_tied_to_us,
    )
    return Job(name, process, output)


def collect_orphans(ours: set[int]) -> None:
    """Collect orphans that ended, as init would: a test that waits for one to be gone must not find a zombie."""
    for pid in map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()):
        if pid not in ours:
            os.waitpid(pid, os.WNOHANG)


def wait(jobs: Sequence[Job]) -> None:
    """Wait for every job, and show the output of the quiet ones as they end."""
    began = time.monotonic()
    ours = {job.process.pid for job in jobs}
    while any(job.code is None for job in jobs):
        collect_orphans(ours)
        for job in jobs:
            if job.code is not None or (code := job.process.poll()) is None:
                continue
            job.code, job.seconds = code, time.monotonic() - began
            if job.output:
                job.output.seek(0)
                print(f"--- {job.name} ---", job.output.read().decode(errors="replace"), sep="\n", flush=True)
        time.sleep(0.1)


class Interrupted(SystemExit):
    """A signal asks the run to end. asyncio lets a SystemExit through, wherever it is raised."""


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(128 + number)


@contextmanager
def descendants_ended() -> Iterator[list[int]]:
    """Nothing that is started in the block outlives it, also on the signals, which raise Interrupted in it.

    Afterwards the list holds one number: how many processes were left at the end of the block.
    """
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    left: list[int] = []
    try:
        yield left
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        left.append(end_descendants(END_S))


def main(arguments: Sequence[str]) -> int:
    """Run the commands of the command line; 0 only if each of them ended with 0."""
    title, *commands = arguments
    began = time.monotonic()
    jobs = []
    code = 0
    with descendants_ended() as left:
        try:
            for index, (name, _, command) in enumerate(one.partition("=") for one in commands):
                last = index == len(commands) - 1
                output = None if last else tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the job
                jobs.append(start(name, command, output))
            wait(jobs)
        except Interrupted as signalled:
            code = int(str(signalled.code))
    results = ", ".join(
        f"{job.name} {'not finished' if job.code is None else 'passed' if job.code == 0 else f'failed ({job.code})'}"
        f"{f' in {job.seconds:.0f} s' if job.code is not None else ''}"
        for job in jobs
    )
    code = code or int(any(job.code != 0 for job in jobs))
    print(
        f"make {title}: {'failed' if code else 'passed'} in {time.monotonic() - began:.0f} s: {results}; "
        f"{left[0]} processes were left running and ended",
        flush=True,
    )
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
