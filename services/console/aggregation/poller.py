"""Polls services over HTTP, all at once, and waits for no service longer than a page may take.

1. All requests are sent at once; one that is still running from the last poll is not sent again.
2. The poll ends when all responses are in or the time for it is over.
3. If a response is not in by then, the last one stands for it if it is recent; else the service counts as not responding.
4. A failure is remembered with the time it began; the last good response with the time it came in.

Durations use a monotonic clock; timestamps are for display.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import orjson

from services.console.metrics import ConsoleMetrics

POLL_WAIT_S = 0.8
FIRST_POLL_WAIT_S = 2.0  # a page that has nothing to show yet may take longer
MINIMUM_WAIT_S = 0.2
TIMEOUT_S = 3.0
FRESH_S = 6.0
MAXIMUM_RESPONSE_BYTES = 8 << 20


@dataclass(frozen=True)
class PollRequest:
    """A GET of `path` at the `base` URL of a `service`; the response is JSON, or text if `is_text`."""

    service: str
    base: str
    path: str
    is_text: bool = False


@dataclass(frozen=True)
class PollResult:
    """The last good `body` and when it came in (`at`); while requests fail, the `problem` and `since` when."""

    body: Any = None
    at: datetime | None = None
    problem: str = ""
    since: datetime | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether the body is current."""
        return not self.problem and self.at is not None


@dataclass
class _Entry:
    result: PollResult = field(default_factory=PollResult)
    task: asyncio.Task[None] | None = None
    sent_at: datetime | None = None
    received_tick: float = 0.0


class Poller:
    """Polls and keeps the last result of each request. `ticks` is a monotonic clock in seconds. For one event loop."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        now: Callable[[], datetime],
        ticks: Callable[[], float],
        metrics: ConsoleMetrics,
    ) -> None:
        self._client = client
        self._now = now
        self._ticks = ticks
        self._metrics = metrics
        self._entries: dict[PollRequest, _Entry] = {}

    async def poll(
        self, requests: Iterable[PollRequest], spent_s: float = 0.0
    ) -> dict[PollRequest, PollResult]:
        """The results after at most `POLL_WAIT_S` seconds, or `FIRST_POLL_WAIT_S` if a request is new, less `spent_s`.

        Never raises because of what a service does.
        """
        wanted = list(dict.fromkeys(requests))
        running = [self._start(request) for request in wanted]
        if running:
            is_first = any(self._entries[request].result == PollResult() for request in wanted)
            wait_s = (FIRST_POLL_WAIT_S if is_first else POLL_WAIT_S) - spent_s
            await asyncio.wait(running, timeout=max(wait_s, MINIMUM_WAIT_S))
        return {request: self._result(request) for request in wanted}

    def keep_only(self, requests: Iterable[PollRequest]) -> None:
        """Drop the results of all other requests."""
        for request in set(self._entries) - set(requests):
            if (task := self._entries.pop(request).task) is not None:
                task.cancel()

    async def close(self) -> None:
        """Cancel running requests and close the client."""
        self.keep_only(())
        await self._client.aclose()

    def _start(self, request: PollRequest) -> asyncio.Task[None]:
        entry = self._entries.setdefault(request, _Entry())
        if entry.task is None or entry.task.done():
            entry.sent_at = self._now()
            entry.task = asyncio.create_task(self._fetch(request, entry))
        return entry.task

    def _result(self, request: PollRequest) -> PollResult:
        entry = self._entries[request]
        result = entry.result
        if entry.task is None or entry.task.done() or result.problem:
            return result
        if result.at is not None and self._ticks() - entry.received_tick < FRESH_S:
            return result
        return PollResult(result.body, result.at, "no response yet", entry.sent_at)

    async def _fetch(self, request: PollRequest, entry: _Entry) -> None:
        try:
            body = await asyncio.wait_for(self._get(request), TIMEOUT_S)
        except Exception as error:  # a service may fail in any way; the page names it and goes on
            self._metrics.polls.labels(request.service, "failed").inc()
            last = entry.result
            entry.result = PollResult(last.body, last.at, describe(error), last.since or entry.sent_at)
        else:
            self._metrics.polls.labels(request.service, "ok").inc()
            entry.result, entry.received_tick = PollResult(body, self._now()), self._ticks()

    async def _get(self, request: PollRequest) -> Any:
        accept = "text/plain" if request.is_text else "application/json"
        raw = b""
        async with self._client.stream(
            "GET", request.base + request.path, headers={"Accept": accept}
        ) as response:
            if response.status_code != 200:
                raise InvalidResponse(f"returns {response.status_code} for {request.path.partition('?')[0]}")
            async for chunk in response.aiter_bytes():
                raw += chunk
                if len(raw) > MAXIMUM_RESPONSE_BYTES:
                    raise InvalidResponse(f"returns more than {MAXIMUM_RESPONSE_BYTES >> 20} MiB")
        if request.is_text:
            return raw.decode(errors="replace")
        body = orjson.loads(raw)
        if not isinstance(body, dict):
            raise InvalidResponse("returns something other than a JSON object")
        return body


class InvalidResponse(Exception):
    """A response that cannot be used."""


def describe(error: Exception) -> str:
    """What went wrong, as the end of a sentence that begins with the service."""
    if isinstance(error, InvalidResponse):
        return str(error)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"no response within {TIMEOUT_S:g} s"
    if isinstance(error, orjson.JSONDecodeError):
        return "returns something that is not JSON"
    if isinstance(error, httpx.ConnectError):
        return "connection refused"
    if isinstance(error, httpx.HTTPError | OSError):
        return f"connection lost: {str(error).rstrip('.') or type(error).__name__}"[:200]
    return f"returns a response that cannot be parsed ({type(error).__name__})"
