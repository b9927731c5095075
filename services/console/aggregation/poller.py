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
from typing import Any, Generic, TypeVar

import httpx
from pydantic import ValidationError

from services.console.metrics import ConsoleMetrics
from shared.errors import OperatorError
from shared.tls.client_environment import problem_of
from shared.validation_text import problem_text

POLL_WAIT_S = 0.8
FIRST_POLL_WAIT_S = 2.0  # a page that has nothing to show yet may take longer
MINIMUM_WAIT_S = 0.2
TIMEOUT_S = 3.0
FRESH_S = 6.0
MAXIMUM_RESPONSE_BYTES = 8 << 20
MAXIMUM_PROBLEM_LENGTH = 200


Body = TypeVar("Body")


@dataclass(frozen=True)
class PollRequest(Generic[Body]):
    """A GET of `path` at the `base` URL of a `service`. `parse` makes the body from the response's bytes or raises.

    `is_ours`: the console's API key is sent with it, which no other program may see. `login`: the Authorization header of a
    request that is not ours.
    """

    service: str
    base: str
    path: str
    parse: Callable[[bytes], Body]
    is_ours: bool = True
    login: str = field(default="", repr=False)


@dataclass(frozen=True)
class PollResult(Generic[Body]):
    """The last good `body` and when it was received (`at`); while requests fail, the `problem` and `since` when.

    `is_invalid`: the service responds, but not as expected. `remedy`: what to do where it refuses the console.
    """

    body: Body | None = None
    at: datetime | None = None
    problem: str = ""
    since: datetime | None = None
    is_invalid: bool = False
    remedy: str = ""

    @property
    def is_fresh(self) -> bool:
        """Whether the body is current."""
        return not self.problem and self.at is not None


class PollResults:
    """The result of each request."""

    def __init__(self, results: dict[PollRequest[Any], PollResult[Any]]) -> None:
        self._results = results

    def __getitem__(self, request: PollRequest[Body]) -> PollResult[Body]:
        return self._results[request]

    def __or__(self, other: PollResults) -> PollResults:
        return PollResults(self._results | other._results)


@dataclass
class _Entry:
    result: PollResult[Any] = field(default_factory=PollResult)
    task: asyncio.Task[None] | None = None
    sent_at: datetime | None = None
    received_tick: float = 0.0


class Poller:
    """Polls and keeps the last result of each request. `ticks` is a monotonic clock in seconds. For one event loop.

    `api_key` is sent to our services; empty for none. `check` raises OperatorError for a URL to which it must not be sent.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        now: Callable[[], datetime],
        ticks: Callable[[], float],
        metrics: ConsoleMetrics,
        api_key: str = "",
        check: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._authorization = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._check = check
        self._now = now
        self._ticks = ticks
        self._metrics = metrics
        self._entries: dict[PollRequest[Any], _Entry] = {}

    async def poll(self, requests: Iterable[PollRequest[Any]], spent_s: float = 0.0) -> PollResults:
        """The results after at most `POLL_WAIT_S` seconds, or `FIRST_POLL_WAIT_S` if a request is new, less `spent_s`.

        Never raises because of what a service does.
        """
        wanted = list(dict.fromkeys(requests))
        running = [self._start(request) for request in wanted]
        if running:
            is_first = any(self._entries[request].result == PollResult() for request in wanted)
            wait_s = (FIRST_POLL_WAIT_S if is_first else POLL_WAIT_S) - spent_s
            await asyncio.wait(running, timeout=max(wait_s, MINIMUM_WAIT_S))
        return PollResults({request: self._result(request) for request in wanted})

    def keep_only(self, requests: Iterable[PollRequest[Any]]) -> None:
        """Drop the results of all other requests."""
        for request in set(self._entries) - set(requests):
            if (task := self._entries.pop(request).task) is not None:
                task.cancel()

    async def close(self) -> None:
        """Cancel running requests and close the client."""
        self.keep_only(())
        await self._client.aclose()

    def _start(self, request: PollRequest[Any]) -> asyncio.Task[None]:
        entry = self._entries.setdefault(request, _Entry())
        if entry.task is None or entry.task.done():
            entry.sent_at = self._now()
            entry.task = asyncio.create_task(self._fetch(request, entry))
        return entry.task

    def _result(self, request: PollRequest[Any]) -> PollResult[Any]:
        entry = self._entries[request]
        result = entry.result
        if entry.task is None or entry.task.done() or result.problem:
            return result
        if result.at is not None and self._ticks() - entry.received_tick < FRESH_S:
            return result
        return PollResult(result.body, result.at, "no response yet", entry.sent_at)

    async def _fetch(self, request: PollRequest[Any], entry: _Entry) -> None:
        try:
            body = await asyncio.wait_for(self._get(request), TIMEOUT_S)
        except Exception as error:  # a service may fail in any way; the page names it and goes on
            self._metrics.polls.labels(request.service, "failed").inc()
            last, is_invalid = entry.result, not isinstance(error, httpx.HTTPError | OSError | OperatorError)
            since = last.since or entry.sent_at
            remedy = error.remedy if isinstance(error, InvalidResponse) else ""
            entry.result = PollResult(last.body, last.at, describe(error), since, is_invalid, remedy)
        else:
            self._metrics.polls.labels(request.service, "ok").inc()
            entry.result, entry.received_tick = PollResult(body, self._now()), self._ticks()

    async def _get(self, request: PollRequest[Any]) -> Any:
        raw = b""
        sent = self._authorization if request.is_ours else _login(request)
        if sent:
            self._check(request.base)
        headers = {"Accept": "application/json, text/plain", **sent}
        async with self._client.stream("GET", request.base + request.path, headers=headers) as response:
            if response.status_code in (401, 403) and request.is_ours:
                raise _refused(response.status_code, has_key=bool(sent))
            if response.status_code == 401 and request.service in ("prometheus", "alertmanager"):
                raise _login_refused(has_login=bool(sent))
            if response.status_code != 200:
                raise InvalidResponse(f"returns {response.status_code} for {request.path.partition('?')[0]}")
            async for chunk in response.aiter_bytes():
                raw += chunk
                if len(raw) > MAXIMUM_RESPONSE_BYTES:
                    raise InvalidResponse(f"returns more than {MAXIMUM_RESPONSE_BYTES >> 20} MiB")
        return request.parse(raw)


class InvalidResponse(Exception):
    """A response that cannot be used. `remedy`: what an operator has to do, if anything."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


def _refused(status: int, *, has_key: bool) -> InvalidResponse:
    problem = "does not accept the console's API key" if has_key else "requires an API key"
    if status == 403:
        problem = "does not let the console's API key read"
    return InvalidResponse(
        f"{problem} (status {status})",
        "make a key with `homeostat keys create console --scope read`, name its file in `HOMEOSTAT_API_KEY_FILE`, and start the "
        "console again",
    )


def _login(request: PollRequest[Any]) -> dict[str, str]:
    return {"Authorization": request.login} if request.login else {}


def _login_refused(*, has_login: bool) -> InvalidResponse:
    return InvalidResponse(
        f"{'does not accept the login' if has_login else 'requires a login'} (status 401)",
        "set `HOMEOSTAT_MONITORING_USER` and `HOMEOSTAT_MONITORING_PASSWORD_FILE` to its login, and start the console again",
    )


def describe(error: Exception) -> str:
    """What went wrong, as the end of a sentence that begins with the service."""
    if isinstance(error, InvalidResponse):
        return str(error)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"no response within {TIMEOUT_S:g} s"
    if isinstance(error, ValidationError):
        return f"returns {_mismatch(error)}"[:MAXIMUM_PROBLEM_LENGTH]
    if isinstance(error, OperatorError):
        return f"cannot be asked: {error.message}"[:MAXIMUM_PROBLEM_LENGTH]
    if isinstance(error, httpx.ConnectError):
        return _tls_problem(error) or "connection refused"
    if isinstance(error, httpx.HTTPError | OSError):
        return f"connection lost: {str(error).rstrip('.') or type(error).__name__}"[:MAXIMUM_PROBLEM_LENGTH]
    return f"returns a response that cannot be parsed ({type(error).__name__})"


def _tls_problem(error: BaseException | None) -> str:
    while error is not None:
        problem, hint = problem_of(error)
        if problem:
            return f"{problem} ({hint})"
        error = error.__cause__ or error.__context__
    return ""


def _mismatch(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return "something that is not JSON"
    if not first["loc"]:
        return "something other than a JSON object"
    return f"an invalid response: {problem_text('.'.join(map(str, first['loc'])), first)}"
