"""Sends hostile requests to ASGI applications and counts what they answer. A status of 500 or more is a failure."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote_to_bytes

import structlog

from tests.fuzz.payloads import FuzzRequest, Route, request

NO_ANSWER = 599
SHOWN = 10


@dataclass(frozen=True)
class Target:
    """An application and its routes."""

    name: str
    app: Callable[..., Any]
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Failure:
    """A request that a server did not answer properly."""

    target: str
    request: FuzzRequest
    status: int
    answer: bytes
    error: str

    def __str__(self) -> str:
        sent = self.request
        headers = ", ".join(f"{name.decode()}: {value[:60]!r}" for name, value in sent.headers)
        return (
            f"{self.target}: {sent.method} {sent.target[:200]}\n  {headers}\n  {sent.body[:1000]!r}\n"
            f"  {self.status} {self.answer[:200]!r}\n  {self.error}"
        )


class ErrorLog:
    """A log processor that remembers the last unexpected error, with the line that raised it; nothing is written."""

    def __init__(self) -> None:
        self.last = ""

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Structlog."""
        error = event.get("exc_info")
        if isinstance(error, BaseException):
            frames = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in frames if "site-packages" not in frame.filename] or list(frames)
            place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "unknown line"
            self.last = f"{type(error).__name__}: {str(error)[:200]} ({place})"
        elif "problem" in event:
            self.last = f"{event.get('event')}: {event['problem']}"
        raise structlog.DropEvent


@dataclass
class Result:
    """What was sent and what came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


def summary(result: Result) -> str:
    """The first failure of each kind, and the figures."""
    first_of_each = {failure.error: failure for failure in reversed(result.failures)}
    shown = [str(failure) for failure in list(first_of_each.values())[:SHOWN]]
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(result.statuses.items()))
    return "\n".join([*shown, f"{result.requests.total()} requests; statuses {statuses}"])


async def send(app: Callable[..., Any], request: FuzzRequest) -> tuple[int, bytes]:
    """Status and body of an application's response; an exception of the application is a 599."""
    path, _, query = request.target.partition("?")
    raw_path = unquote_to_bytes(path)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        # As uvicorn does.
        "path": raw_path.decode("utf-8", "replace"),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": list(request.headers),
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 80),
    }
    parts = iter([{"type": "http.request", "body": request.body, "more_body": False}])
    status, body = NO_ANSWER, bytearray()

    async def receive() -> dict[str, Any]:
        return next(parts, {"type": "http.disconnect"})

    async def take(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        body.extend(message.get("body", b""))

    try:
        await app(scope, receive, take)
    except Exception as error:
        # Starlette answers 500 and raises again, for the server's log.
        return (status if status >= 500 else NO_ANSWER), bytes(body) or repr(error).encode()
    return status, bytes(body)


def fuzz(targets: Sequence[Target], *, requests: int, seed: int) -> Result:
    """Send so many requests to the targets in turn. The same seed makes the same requests in the same order."""
    result, log = Result(), ErrorLog()
    structlog.configure(processors=[log])
    with asyncio.Runner() as runner:
        for number in range(requests):
            target = targets[number % len(targets)]
            sent = request(Random(f"{seed} {target.name} {number}"), target.routes)
            log.last = ""
            status, answer = runner.run(send(target.app, sent))
            result.requests[target.name] += 1
            result.statuses[status] += 1
            if status >= 500:
                result.failures.append(Failure(target.name, sent, status, answer, log.last))
    return result
