"""Clients in a process of their own, which send at a steady rate until they are stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType

from loadtests.paced import Plan, Record
from tests.waiting import bound


class PacedLoad:
    """Sends from the start of the block to its end; `record` then has what came of it."""

    def __init__(
        self,
        port: int,
        requests: Sequence[bytes],
        *,
        per_second: float,
        connections: int,
        expected: Sequence[int] = (200, 202),
    ) -> None:
        """`expected`: the statuses that are no failures."""
        texts = [request.decode("latin-1") for request in requests]
        self._plan = Plan(port, texts, per_second, connections, tuple(expected))
        self.record = Record()

    def __enter__(self) -> PacedLoad:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.paced"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(self._plan)).encode() + b"\n")
        self._process.stdin.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            text, _ = self._process.communicate(timeout=bound(60))
        finally:
            self._process.kill()
        if kind is None:
            self.record = Record(**json.loads(text))
