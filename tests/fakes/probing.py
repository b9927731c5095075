"""Liveness probes of a server that is saturated, beside a bare loop that is as busy."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.fakes.paced_load import PacedLoad
from tests.fakes.socket_server import read_answers, request
from tests.waiting import bound

LIVE = request("/livez", b"", method="GET")
_PAUSE_S = 0.02


@dataclass(frozen=True)
class Probing:
    """The longest waits in seconds, how often each was measured, and what the load received."""

    name: str
    longest: float
    median: float
    bare_longest: float
    probes: int
    answered: int
    failed: int
    failures: list[str]

    @property
    def allowed(self) -> float:
        """100 ms; on a machine that is busy with other things, what the bare loop took, and half of that."""
        return max(0.1, 1.5 * self.bare_longest)

    def line(self) -> str:
        """The figures in one line."""
        return (
            f"livez while saturated, {self.name}: {self.probes} probes, p50 {1e3 * self.median:.1f} ms, longest "
            f"{1e3 * self.longest:.1f} ms (bare busy loop {1e3 * self.bare_longest:.1f} ms); beside {self.answered} answers and "
            f"{self.failed} refusals"
        )


def probe_while_saturated(
    name: str, port: int, requests: Sequence[bytes], *, connections: int, seconds: float
) -> Probing:
    """Ask for `/livez` and the bare loop in turn, every 20 ms, while `connections` send as fast as they are answered."""
    waits: list[float] = []
    bare: list[float] = []
    command = [sys.executable, "-m", "tests.fakes.bare_loop"]
    # So many a second that each connection always has a request that is due.
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as loop,
        PacedLoad(port, requests, per_second=1e5, connections=connections) as load,
    ):
        assert loop.stdout is not None
        bare_port = int(loop.stdout.readline())
        time.sleep(1)
        end = time.monotonic() + seconds
        with (
            socket.create_connection(("127.0.0.1", port), timeout=bound(30)) as probe,
            socket.create_connection(("127.0.0.1", bare_port), timeout=bound(30)) as other,
        ):
            while time.monotonic() < end:
                start = time.perf_counter()
                probe.sendall(LIVE)
                assert read_answers(probe, 1)[0].startswith(b"HTTP/1.1 200 ")
                waits.append(time.perf_counter() - start)
                start = time.perf_counter()
                other.sendall(b"?")
                assert other.recv(1) == b"?"
                bare.append(time.perf_counter() - start)
                time.sleep(_PAUSE_S)
        loop.kill()
    record = load.record
    kinds = Counter(failure.split(":")[0] for failure in record.failures)
    return Probing(
        name,
        max(waits),
        sorted(waits)[len(waits) // 2],
        max(bare),
        len(waits),
        len(record.due),
        record.failed,
        sorted(kinds),
    )
