from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import pytest

from homeostat import (
    AnswerLost,
    AsyncClient,
    InvalidRequest,
    OutcomeBufferFull,
    OutcomesNotSent,
    OutcomesRefused,
    RequestRefused,
)
from tests.fakes.scripted_inference import ScriptedInference, refused_connection, unavailable
from tests.waiting import time_factor

ROW = {"amount": 1.5, "count": 2, "member": True, "colour": "red"}


def client(server: ScriptedInference, **options: Any) -> AsyncClient:
    quiet = {"flush_at": 1000, "flush_after_s": 1000.0, "retry_s": 5.0}
    return AsyncClient("http://server", transport=httpx.MockTransport(server.answer), **(quiet | options))


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 30 * time_factor()))


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


def test_predictions_run_side_by_side(server: ScriptedInference) -> None:
    async def work() -> None:
        async with client(server) as ours:
            answers = await asyncio.gather(*(ours.predict(ROW) for _ in range(5)))
        assert sorted(answer[0].prediction_id for answer in answers) == [f"id{number}" for number in range(5)]

    run(work)


def test_prediction_is_retried_if_it_was_not_answered(server: ScriptedInference) -> None:
    async def work() -> None:
        server.script = [refused_connection, partial(unavailable, after="0.3")]
        began = time.monotonic()
        async with client(server, model="toy") as ours:
            await ours.predict(ROW)
        assert len(server.logged) == 1
        assert time.monotonic() - began >= 0.3

    run(work)


def test_lost_answer_is_not_repeated(server: ScriptedInference) -> None:
    async def work() -> None:
        server.script = [server.lose_answer]
        async with client(server) as ours:
            with pytest.raises(AnswerLost):
                await ours.predict(ROW)
        assert len(server.logged) == 1

    run(work)


def test_wrong_row_is_refused_before_it_is_sent(server: ScriptedInference) -> None:
    async def work() -> None:
        async with client(server) as ours:
            with pytest.raises(InvalidRequest, match="count of row 0 is missing"):
                await ours.predict({**ROW, "count": None})
        assert server.logged == []

    run(work)


def test_outcomes_are_sent_by_number_by_age_and_on_close(server: ScriptedInference) -> None:
    async def work() -> None:
        async with client(server, flush_at=2) as ours:
            await ours.outcome("a", 1)
            await ours.outcome("b", 2)
            await until(lambda: len(server.outcomes) == 2)
            await ours.outcome("c", 3)
        async with client(server, flush_after_s=0.1) as ours:
            await ours.outcome("d", 4)
            await until(lambda: len(server.outcomes) == 4)
        assert [outcome["value"] for outcome in server.outcomes] == [1, 2, 3, 4]

    run(work)


def test_outcomes_survive_an_outage(server: ScriptedInference) -> None:
    async def work() -> None:
        server.unreachable = True
        async with client(server, flush_at=1) as ours:
            await ours.outcome("a", 1)
            await until(lambda: len(server.asked) >= 2)
            server.unreachable = False
            await until(lambda: ours.outcome_counts.accepted == 1)

    run(work)


def test_outcome_of_a_model_not_loaded_does_not_hold_the_others(server: ScriptedInference) -> None:
    async def work() -> None:
        server.early_ids = {"a"}
        async with client(server, flush_after_s=0.05) as ours:
            await ours.outcomes([("a", 1), ("b", 2)])
            await until(lambda: [outcome["value"] for outcome in server.outcomes] == [2])
            await ours.outcome("c", 3)
            await until(lambda: [outcome["value"] for outcome in server.outcomes] == [2, 3])
            server.early_ids = set()
            await until(lambda: ours.outcome_counts.waiting == 0)

    run(work)


def test_full_buffer_and_close_raise_what_was_not_sent(server: ScriptedInference) -> None:
    async def work() -> None:
        server.unreachable = True
        ours = client(server, buffer_size=1, retry_s=0.3)
        with pytest.raises(OutcomeBufferFull):
            await ours.outcomes([("a", 1), ("b", 2)])
        with pytest.raises(OutcomesNotSent) as left:
            await ours.aclose()
        assert [outcome.prediction_id for outcome in left.value.outcomes] == ["a"]

    run(work)


def test_refused_outcomes_are_raised_by_flush(server: ScriptedInference) -> None:
    async def work() -> None:
        server.unknown_ids = {"a"}
        async with client(server) as ours:
            await ours.outcomes([("a", 1), ("b", 2)])
            with pytest.raises(OutcomesRefused):
                await ours.flush()
        assert [outcome["value"] for outcome in server.outcomes] == [2]

    run(work)


def test_cancelled_calls_take_no_connection_from_later_ones() -> None:
    """Who gives a prediction half a second and goes on must still be answered the next day."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def work() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        few = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=4), trust_env=False)
        options: dict[str, Any] = {"timeout_s": 2.0 * time_factor(), "retry_s": 0.0}
        async with server, AsyncClient(url, model="toy", transport=few, **options) as ours:
            for steps in range(60):
                calls = [asyncio.create_task(ours.inputs()) for _ in range(6)]
                for _ in range(steps):
                    await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)
            with pytest.raises(RequestRefused):
                await ours.inputs()

    run(work)
