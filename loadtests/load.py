"""A closed-loop load generator: so many keep-alive connections, each sending the same request as soon as it was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import uvloop


@dataclass
class Load:
    """What came of it: latencies in seconds of the answers counted, errors, and how busy the generator was."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    generator_cpu: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency that `share` of the answers stayed below, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def generate(host: str, port: int, request: bytes, *, connections: int, seconds: float) -> Load:
    """Put load on host:port for `seconds`."""
    return uvloop.run(_generate(host, port, request, connections, seconds))


def post(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A POST as it goes over the wire; of JSON, if `headers` say nothing else."""
    given = headers or {"Content-Type": "application/json"}
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        *(f"{name}: {value}" for name, value in given.items()),
    ]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def _generate(host: str, port: int, request: bytes, connections: int, seconds: float) -> Load:
    load = Load()
    loop = asyncio.get_running_loop()
    callers = [_Caller(request, load) for _ in range(connections)]
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, host, port)  # type: ignore[misc]
    start, cpu = time.perf_counter(), time.process_time()
    for caller in callers:
        caller.ask()
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.stop()
    load.seconds = time.perf_counter() - start
    load.generator_cpu = (time.process_time() - cpu) / load.seconds
    return load


class _Caller(asyncio.Protocol):
    def __init__(self, request: bytes, load: Load) -> None:
        self._request = request
        self._load = load
        self._buffer = b""
        self._sent = 0.0
        self._stopped = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none

    def ask(self) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        if len(self._buffer) < head + 4 + _content_length(self._buffer[:head]):
            return
        if not self._stopped:
            if self._buffer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
                self._load.latencies.append(time.perf_counter() - self._sent)
            else:
                self._load.errors += 1
            self._buffer = b""
            self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._stopped:
            self._load.errors += 1

    def stop(self) -> None:
        self._stopped = True
        if self._transport is not None:
            self._transport.close()


def _content_length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(b"content-length:")
    if start < 0:
        raise ValueError("the answer has no Content-Length")
    end = lower.find(b"\r\n", start)
    return int(lower[start + 15 : end if end >= 0 else len(lower)])
