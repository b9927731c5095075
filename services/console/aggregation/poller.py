"""Asking services over HTTP, many at once, waiting for none of them longer than a page may take.

1. Every poll is asked at once; one that is still under way from the last look is not asked again.
2. The look ends when all have answered or its patience is over.
3. What has not answered by then is shown as it last answered, if that was a moment ago; else it counts as not answering.
4. What fails is remembered with the moment it began, and what it last said with the moment it said so.

How long ago something was is counted by a clock that nobody sets; moments are for people to read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import orjson

PATIENCE_S = 0.8
FIRST_PATIENCE_S = 2.0  # a page that has nothing to show yet may take longer
LEAST_PATIENCE_S = 0.2
TIMEOUT_S = 3.0
FRESH_S = 6.0
LARGEST_ANSWER = 8 << 20


@dataclass(frozen=True)
class PollRequest:
    """A GET of `path` at `base`, answered in JSON, or in text where `is_text`."""

    base: str
    path: str
    is_text: bool = False


@dataclass(frozen=True)
class PollResult:
    """The last good `body` with the moment `at`; `problem` in words while it fails, and `since` when."""

    body: Any = None
    at: datetime | None = None
    problem: str = ""
    since: datetime | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether the body is of now."""
        return not self.problem and self.at is not None


@dataclass
class _Memory:
    result: PollResult = field(default_factory=PollResult)
    task: asyncio.Task[None] | None = None
    asked_at: datetime | None = None
    received_tick: float = 0.0


class Poller:
    """Remembers what each poll was last answered. `ticks` are seconds that only grow. For one event loop."""

    def __init__(
        self, client: httpx.AsyncClient, now: Callable[[], datetime], ticks: Callable[[], float]
    ) -> None:
        self._client = client
        self._now = now
        self._ticks = ticks
        self._memories: dict[PollRequest, _Memory] = {}

    async def ask(self, polls: Iterable[PollRequest], spent_s: float = 0.0) -> dict[PollRequest, PollResult]:
        """What is known about each poll after at most `PATIENCE_S` seconds, `FIRST_PATIENCE_S` where one is new.

        `spent_s` of it went to an earlier poll of the same look. Never raises for what a service does.
        """
        wanted = list(dict.fromkeys(polls))
        under_way = [self._start(poll) for poll in wanted]
        if under_way:
            new = any(self._memories[poll].result == PollResult() for poll in wanted)
            patience = (FIRST_PATIENCE_S if new else PATIENCE_S) - spent_s
            await asyncio.wait(under_way, timeout=max(patience, LEAST_PATIENCE_S))
        return {poll: self._answer(poll) for poll in wanted}

    def forget_others(self, polls: Iterable[PollRequest]) -> None:
        """Forget what nobody asks any more."""
        for poll in set(self._memories) - set(polls):
            if (task := self._memories.pop(poll).task) is not None:
                task.cancel()

    async def close(self) -> None:
        """End what is under way."""
        self.forget_others(())
        await self._client.aclose()

    def _start(self, poll: PollRequest) -> asyncio.Task[None]:
        memory = self._memories.setdefault(poll, _Memory())
        if memory.task is None or memory.task.done():
            memory.asked_at = self._now()
            memory.task = asyncio.create_task(self._fetch(poll, memory))
        return memory.task

    def _answer(self, poll: PollRequest) -> PollResult:
        memory = self._memories[poll]
        result = memory.result
        if memory.task is None or memory.task.done() or result.problem:
            return result
        if result.at is not None and self._ticks() - memory.received_tick < FRESH_S:
            return result
        return PollResult(result.body, result.at, "no answer yet", memory.asked_at)

    async def _fetch(self, poll: PollRequest, memory: _Memory) -> None:
        try:
            body = await asyncio.wait_for(self._get(poll), TIMEOUT_S)
        except Exception as error:  # a service may break in any way; the page says which and goes on
            result = memory.result
            memory.result = PollResult(
                result.body, result.at, in_words(error), result.since or memory.asked_at
            )
        else:
            memory.result, memory.received_tick = PollResult(body, self._now()), self._ticks()

    async def _get(self, poll: PollRequest) -> Any:
        accept = "text/plain" if poll.is_text else "application/json"
        raw = b""
        async with self._client.stream("GET", poll.base + poll.path, headers={"Accept": accept}) as answer:
            if answer.status_code != 200:
                raise Unusable(f"answers {answer.status_code} at {poll.path.partition('?')[0]}")
            async for piece in answer.aiter_bytes():
                raw += piece
                if len(raw) > LARGEST_ANSWER:
                    raise Unusable(f"answers more than {LARGEST_ANSWER >> 20} MiB")
        if poll.is_text:
            return raw.decode(errors="replace")
        body = orjson.loads(raw)
        if not isinstance(body, dict):
            raise Unusable("answers something other than a JSON object")
        return body


class Unusable(Exception):
    """An answer nobody can use."""


def in_words(error: Exception) -> str:
    """What went wrong, for a person."""
    if isinstance(error, Unusable):
        return str(error)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(error, orjson.JSONDecodeError):
        return "answers something that is not JSON"
    if isinstance(error, httpx.ConnectError):
        return "the connection is refused"
    if isinstance(error, httpx.HTTPError | OSError):
        return f"the connection broke: {str(error).rstrip('.') or type(error).__name__}"[:200]
    return f"answers what nobody understands ({type(error).__name__})"
