"""Sends a stated number of requests to running services and watches them.

For each service:

1. a quarter of its requests, as warm-up; then all connections are closed and what the process holds is measured;
2. the others; then it is measured again.

Request n of a service depends on the seed, the service's name and n alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from shared.access.route_table import PUBLIC, RouteTable
from tests.fuzz.connection import Answer, Connection, Hang
from tests.fuzz.findings import ADMITTED, ENDED, GROWTH, HANG, NO_ANSWER, SERVER_ERROR, Finding, Report
from tests.fuzz.growth import MIB, Held, held_by
from tests.fuzz.payloads import Route
from tests.fuzz.wire import Credential, WireRequest, wire_request

WARM_UP = 0.25
GIVE_UP_AFTER = 20  # findings of one service and kind


@dataclass(frozen=True)
class Service:
    """A running service: where it listens, its process, its routes, and its share of the requests."""

    name: str
    port: int
    pid: int
    routes: tuple[Route, ...]
    table: RouteTable
    share: float = 1.0


@dataclass(frozen=True)
class Bounds:
    """What is too much: seconds for an answer, and growth of memory in bytes and of open files after warm-up."""

    answer_s: float = 30.0
    memory: int = 64 * MIB
    files: int = 64
    settle_s: float = 20.0


def fuzz_services(
    services: Sequence[Service],
    credentials: Sequence[Credential],
    *,
    requests: int,
    seed: int,
    bounds: Bounds,
    connections: int = 2,
) -> Report:
    """Send `requests` to the services in proportion to their shares, side by side."""
    report = Report(seed, requests)
    begun = time.monotonic()

    async def everything() -> None:
        for service, number in zip(services, shared_out(services, requests), strict=True):
            group.append(_Fuzz(service, credentials, number, seed, bounds, connections, report))
        await asyncio.gather(*(one.run() for one in group))

    group: list[_Fuzz] = []
    asyncio.run(everything())
    report.seconds = time.monotonic() - begun
    return report


def shared_out(services: Sequence[Service], requests: int) -> list[int]:
    """How many of the requests each service gets; the first one also gets what is left over."""
    whole = sum(service.share for service in services)
    counts = [int(requests * service.share / whole) for service in services]
    counts[0] += requests - sum(counts)
    return counts


class _Fuzz:
    """The fuzz of one service."""

    def __init__(
        self,
        service: Service,
        credentials: Sequence[Credential],
        requests: int,
        seed: int,
        bounds: Bounds,
        connections: int,
        report: Report,
    ) -> None:
        self._service, self._credentials, self._requests = service, credentials, requests
        self._seed, self._bounds, self._connections = seed, bounds, connections
        self._report = report
        self._found: Counter[str] = Counter()
        self._stopped = False

    async def run(self) -> None:
        warm_up = int(self._requests * WARM_UP)
        await self._send(iter(range(warm_up)))
        before = await self._settled(None)
        await self._send(iter(range(warm_up, self._requests)))
        if before is None or (after := await self._settled(before)) is None:
            self._find(
                Finding(ENDED, self._service.name, self._requests, "the process is not there any more")
            )
            return
        grown = after.grown_since(before)
        self._report.grown[self._service.name] = grown
        if grown.memory > self._bounds.memory or grown.files > self._bounds.files:
            detail = (
                f"memory {before.memory / MIB:.0f} to {after.memory / MIB:.0f} MiB, "
                f"open files {before.files} to {after.files}; more of {dict(grown.kinds.most_common(5))}"
            )
            self._find(Finding(GROWTH, self._service.name, self._requests, detail))

    async def _send(self, numbers: Iterator[int]) -> None:
        await asyncio.gather(*(self._over_one_connection(numbers) for _ in range(self._connections)))

    async def _over_one_connection(self, numbers: Iterator[int]) -> None:
        connection = Connection(self._service.port, self._bounds.answer_s)
        try:
            for number in numbers:
                if self._stopped:
                    return
                await self._one(connection, number)
        finally:
            connection.close()

    async def _one(self, connection: Connection, number: int) -> None:
        name = self._service.name
        asked = wire_request(Random(f"{self._seed} {name} {number}"), self._service.routes, self._credentials)
        self._report.requests[name] += 1
        try:
            answers = await connection.ask(asked)
        except Hang:
            self._find(Finding(HANG, name, number, f"no answer within {self._bounds.answer_s:.0f} s", asked))
            return
        except OSError as error:  # nobody listens
            self._find(Finding(ENDED, name, number, str(error), asked))
            self._stopped = True
            return
        for kind, detail in self._wrong(asked, answers):
            self._find(Finding(kind, name, number, detail, asked))

    def _wrong(self, asked: WireRequest, answers: Sequence[Answer]) -> Iterator[tuple[str, str]]:
        """Count the answers, and say what must not be."""
        if not answers or not answers[0].status:
            self._report.answers["none to malformed requests" if not asked.orderly else "none"] += 1
            if asked.orderly:
                yield NO_ANSWER, "the connection was closed without one"
            return
        for answer in answers:
            self._report.answers[_class_of(answer)] += 1
            if not answer.is_declared:
                yield SERVER_ERROR, f"{answer.status} {answer.body[:300]!r}"
            if answer.status < 300 and asked.orderly and self._lacks_scope(asked):
                yield ADMITTED, f"{answer.status} for {asked.method} {asked.path[:200]!r}"

    def _lacks_scope(self, asked: WireRequest) -> bool:
        needed = self._service.table.scope_of(asked.method, asked.path)
        return needed is not PUBLIC and needed not in asked.credential.scopes

    def _find(self, finding: Finding) -> None:
        self._found[finding.kind] += 1
        self._report.findings.append(finding)
        self._stopped |= self._found[finding.kind] >= GIVE_UP_AFTER

    async def _settled(self, before: Held | None) -> Held | None:
        """What the process holds once it has come to rest: when nothing grew, or when it stays the same."""
        deadline = time.monotonic() + self._bounds.settle_s
        last: Held | None = None
        for _ in count():
            held = held_by(self._service.pid)
            if held is None:
                return None
            calm = held.files <= before.files if before else last is not None and held.files >= last.files
            if (
                calm and held.memory - (before or held).memory <= self._bounds.memory
            ) or time.monotonic() > deadline:
                return held
            last = held
            await asyncio.sleep(0.5)
        return None


def _class_of(answer: Answer) -> str:
    if answer.status < 500:
        return f"{answer.status // 100}xx"
    return "503 with Retry-After" if answer.is_declared else "undeclared 5xx"
