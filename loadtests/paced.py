"""An open-loop load generator: requests are sent when they are due, whether or not earlier ones were answered in time.

    python -m loadtests.paced

Reads one line of JSON from standard input (`Plan`), sends until standard input ends, then writes its `Record` as JSON. A
latency counts from the moment the request was due, so an answer that is late delays nobody else's measurement.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

_SHOWN = 20
_MAX_BODY = 300


@dataclass(frozen=True)
class Plan:
    """`requests`: whole requests as text in latin-1, sent in turn. Each connection sends `per_second / connections`."""

    port: int
    requests: list[str]
    per_second: float
    connections: int
    expected: tuple[int, ...] = (200, 202)  # statuses that are no failures


@dataclass
class Record:
    """Per answer: when its request was due (monotonic seconds, the same clock in all processes), latency in seconds, and the
    index of its answer in `answers`: version, generation and scores. Also the first failures, and how many failed."""

    due: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    answer_index: list[int] = field(default_factory=list)
    answers: list[list[Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    failed: int = 0

    def percentile(self, share: float, since: float = 0.0, until: float = float("inf")) -> float:
        """The latency in seconds that `share` of the requests that were due in between stayed below; 0 without any."""
        found = sorted(
            latency for due, latency in zip(self.due, self.latency, strict=True) if since <= due < until
        )
        return found[min(len(found) - 1, int(share * len(found)))] if found else 0.0


class _Sender:
    def __init__(self, plan: Plan, record: Record, known: dict[str, int]) -> None:
        self._plan = plan
        self._record = record
        self._known = known
        self.stopped = False

    async def run(self, number: int) -> None:
        """Send on one connection, which is opened again after a failure."""
        period = self._plan.connections / self._plan.per_second
        due = time.monotonic() + period * number / self._plan.connections
        reader: asyncio.StreamReader | None = None
        writer: asyncio.StreamWriter | None = None
        requests = [request.encode("latin-1") for request in self._plan.requests]
        while not self.stopped:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                if reader is None or writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._plan.port)
                writer.write(requests[number % len(requests)])
                await self._answer(reader, due)
            except (OSError, EOFError, ValueError) as error:
                self._fail(repr(error))
                reader = None
            number += 1
            due += period
        if writer is not None:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, due: float) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        start = lower.index(b"content-length:") + len(b"content-length:")
        body = await reader.readexactly(int(lower[start : lower.index(b"\r\n", start)]))
        latency = time.monotonic() - due
        status = head.split(maxsplit=2)[1].decode()
        if int(status) not in self._plan.expected:
            self._fail(f"{status}: {body[:_MAX_BODY].decode()}")
            return
        self._record.due.append(due)
        self._record.latency.append(latency)
        self._record.answer_index.append(self._number(body))

    def _number(self, body: bytes) -> int:
        document = json.loads(body) if body.startswith(b"{") and b'"predictions"' in body else {}
        scores = sorted({row.get("score") for row in document.get("predictions", [])})
        answer = [document.get("version", document.get("model_version")), document.get("generation"), scores]
        key = json.dumps(answer)
        if key not in self._known:
            self._known[key] = len(self._record.answers)
            self._record.answers.append(answer)
        return self._known[key]

    def _fail(self, problem: str) -> None:
        self._record.failed += 1
        if len(self._record.failures) < _SHOWN:
            self._record.failures.append(problem)


async def _send(plan: Plan) -> Record:
    record = Record()
    sender = _Sender(plan, record, {})
    tasks = [asyncio.create_task(sender.run(number)) for number in range(plan.connections)]
    await asyncio.to_thread(sys.stdin.read)
    sender.stopped = True
    await asyncio.wait(tasks, timeout=30)
    for task in tasks:
        if not task.done():
            sender._fail("no answer within 30 s")
        elif (error := task.exception()) is not None:
            sender._fail(repr(error))
    return record


def main() -> int:
    """Send until standard input ends."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    json.dump(asdict(uvloop.run(_send(plan))), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
