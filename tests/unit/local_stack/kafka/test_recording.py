"""A broker that records its classes: it ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.waiting import eventually

PARENT = """
import subprocess, sys, time
from local_stack.kafka.recording import end_with_parent
child = subprocess.Popen(["sleep", "600"], preexec_fn=end_with_parent, start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


def test_it_ends_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)

    def ended() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    try:
        eventually(ended, "the child ends", within_s=10)
    finally:
        if not ended():
            os.kill(child, signal.SIGKILL)
