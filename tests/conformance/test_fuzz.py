"""The fuzz of `make fuzz`: it passes on the services, and it finds a server that fails, hangs, grows or admits everybody."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
import structlog

from shared.access.route_table import RouteTable
from shared.access.scope import Scope
from tests.fuzz import campaign
from tests.fuzz.__main__ import show
from tests.fuzz.campaign import Bounds, Service, fuzz_services, shared_out
from tests.fuzz.findings import Report
from tests.fuzz.growth import Held
from tests.fuzz.payloads import Route
from tests.fuzz.runner import NO_ANSWER, Target, fuzz, summary
from tests.fuzz.services import TARGETS, all_targets
from tests.fuzz.wire import Credential, wire_request
from tests.waiting import bound

ROUTES = (Route("POST", "/outcomes", {"size": 1, "names": ["a"]}, query={"limit": "5"}),)
ANYBODY = Credential("all scopes", b"Bearer a", frozenset(Scope))
NOBODY = Credential("none", None)
Respond = Callable[[bytes], bytes]


@pytest.fixture(autouse=True)
def usual_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_services_answer_no_hostile_request_with_a_server_error(tmp_path: Path) -> None:
    with all_targets(tmp_path) as targets:
        result = fuzz(targets, requests=2000, seed=20)
    assert result.failures == [], summary(result)
    assert set(result.requests) == set(TARGETS)
    # Valid requests are among them, or the fuzz would see only the first check.
    assert result.statuses[200] > 100
    assert result.statuses[400] + result.statuses[422] > 100


def raise_error(path: str, body: bytes) -> int:
    raise RuntimeError("a bug")


@pytest.mark.parametrize(
    "status_of",
    [
        lambda path, body: 500 if re.search(rb"[0-9]{10}|NaN|e.308", body) else 200,
        lambda path, body: 503 if path != "/outcomes" else 200,
        lambda path, body: 500 if b"[[[[" in body else 200,
        raise_error,
    ],
    ids=["hostile number", "hostile path", "deep nesting", "exception"],
)
def test_a_server_error_of_an_application_is_found(status_of: Callable[[str, bytes], int]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": status_of(scope["path"], body), "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    routes = (*ROUTES, Route("POST", "/things/{}", {}, ("one",)))
    result = fuzz([Target("things", app, routes)], requests=300, seed=1)
    assert result.failures
    assert all(failure.status in (500, 503, NO_ANSWER) for failure in result.failures)
    assert "things: " in summary(result)


class SmallServer:
    """A server in a thread that reads one request at a time and answers it with `respond`."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(bound(10))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(bound(10))

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = int(server.sockets[0].getsockname()[1])
        self._started.set()
        await self._end.wait()
        server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read(1 << 20)
        answer = self._respond(data)
        if not answer:
            await self._end.wait()
        writer.write(answer)
        writer.close()


def response(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", "content-length: 2", "connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n{}"


def run(
    respond: Respond,
    *,
    requests: int = 200,
    credentials: Sequence[Credential] = (ANYBODY,),
    bounds: Bounds | None = None,
) -> Report:
    server = SmallServer(respond)
    try:
        service = Service("small", server.port, psutil.Process().pid, ROUTES, RouteTable.of("inference"))
        bounds = bounds or Bounds(answer_s=bound(5), settle_s=0.5)
        return fuzz_services([service], credentials, requests=requests, seed=3, bounds=bounds)
    finally:
        server.stop()


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}


def test_a_fuzz_without_findings_passes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = run(lambda data: response(200))
    assert kinds(report) == set()
    assert show(report, folder=tmp_path) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert re.match(
        r"make fuzz: passed in \d+ s with seed 3: 200 requests \(small 200\); answers: 2xx \d+", line
    )
    assert "0 undeclared 5xx, 0 hang" in line


def test_a_server_error_is_found_with_its_bytes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = run(lambda data: response(500 if b"[[[[" in data else 200), requests=400)
    assert kinds(report) == {"undeclared 5xx"}
    assert show(report, folder=tmp_path) == 1
    output = capsys.readouterr().out
    assert "undeclared 5xx: small, request " in output
    assert "[[[[" in output
    assert output.splitlines()[-1].startswith("make fuzz: failed")
    [first, *_] = report.findings
    assert first.request is not None
    again = wire_request(Random(f"3 small {first.number}"), ROUTES, (ANYBODY,))
    assert again == first.request, "seed and number make the same bytes again"


def test_unavailable_is_declared_only_with_retry_after() -> None:
    assert kinds(run(lambda data: response(503, "retry-after: 1"), requests=20)) == set()
    assert kinds(run(lambda data: response(503), requests=20)) == {"undeclared 5xx"}


def test_a_hang_is_found() -> None:
    bounds = Bounds(answer_s=0.5, settle_s=0.5)
    report = run(lambda data: b"" if b"NaN" in data else response(200), bounds=bounds)
    assert kinds(report) == {"hang"}


def test_a_connection_closed_without_an_answer_is_found() -> None:
    def drop(data: bytes) -> bytes:
        return b"\n" if b"NaN" in data else response(200)

    assert kinds(run(drop)) == {"no answer"}


def test_an_answer_without_the_scope_is_found() -> None:
    report = run(lambda data: response(200), credentials=(ANYBODY, NOBODY))
    assert kinds(report) == {"admitted without the scope"}


def test_growth_of_memory_and_files_is_found(tmp_path: Path) -> None:
    kept: list[Any] = []

    def leak_memory(data: bytes) -> bytes:
        kept.append(bytearray(b"x" * 1_000_000))
        return response(200)

    def leak_files(data: bytes) -> bytes:
        kept.append((tmp_path / "open").open("a"))
        return response(200)

    bounds = Bounds(answer_s=bound(5), memory=16 << 20, settle_s=0.5)
    memory = run(leak_memory, bounds=bounds)
    assert kinds(memory) == {"growth"}
    kept.clear()
    files = run(leak_files, requests=120, bounds=replace(bounds, memory=1 << 30))
    for file in kept:
        file.close()
    assert kinds(files) == {"growth"}
    assert "open" in files.findings[0].detail


def test_a_process_that_ended_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [Held(1, 1), Held(1, 1), None]
    monkeypatch.setattr(campaign, "held_by", lambda pid: held.pop(0) if len(held) > 1 else held[0])
    assert kinds(run(lambda data: response(200), requests=20)) == {"process ended"}


def test_every_request_is_sent_by_some_service() -> None:
    one = Service("a", 1, 1, ROUTES, RouteTable.of("drift"), share=2.0)
    assert shared_out([one, replace(one, name="b", share=1.0)], 100) == [67, 33]


def test_a_fuzz_that_sent_nothing_fails() -> None:
    begun = time.monotonic()
    assert not run(lambda data: response(200), requests=0).has_passed
    assert time.monotonic() - begun < bound(10)
