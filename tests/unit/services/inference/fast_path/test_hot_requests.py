"""The sweep over all connections, with connections that take long."""

from __future__ import annotations

import asyncio
import time

import orjson

from services.inference.fast_path.reply import Reply
from services.inference.routes import make_fast_path
from tests.fakes.api_keys import ANYONE
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore


class SlowConnection:
    """Takes 0.4 ms to close; notes in which iteration of the loop that was."""

    def __init__(self, iterations: list[int]) -> None:
        self.iterations = iterations
        self.swept_in: list[int] = []

    def give_way(self) -> bool:
        return False

    def sweep(self, now: float) -> None:
        end = time.perf_counter() + 0.0004
        while time.perf_counter() < end:
            pass
        self.swept_in.append(self.iterations[0])


def test_sweep_of_many_connections_lets_others_in_between(toys: ToyStore) -> None:
    iterations = [0]

    async def sweep() -> list[SlowConnection]:
        server = InferenceServer(toys)
        hot = make_fast_path(
            server.settings, server.slots, server.predictor, server.metrics, authenticator=ANYONE
        )
        connections = [SlowConnection(iterations) for _ in range(30)]
        hot.connections.update(dict.fromkeys(connections))
        hot._sweep()
        while not all(connection.swept_in for connection in connections):
            iterations[0] += 1
            await asyncio.sleep(0)
        return connections

    connections = asyncio.run(sweep())
    assert all(len(connection.swept_in) == 1 for connection in connections)
    swept_in = [connection.swept_in[0] for connection in connections]
    assert max(swept_in.count(iteration) for iteration in set(swept_in)) <= 3


def test_requests_to_a_model_with_a_canary_take_the_ordinary_path(toys: ToyStore) -> None:
    toys.put_and_release(0.25)
    canary = toys.put(0.75).version
    body = orjson.dumps({"model": "toy", "key": "a", "rows": [ROW]})
    replies: list[Reply | None] = []

    async def ask() -> tuple[bool, bool]:
        server = InferenceServer(toys)
        hot = make_fast_path(
            server.settings, server.slots, server.predictor, server.metrics, authenticator=ANYONE
        )
        before = hot.submit_predict(body, 0, len(body), replies.append)
        await asyncio.sleep(0.01)
        toys.start(canary)
        server.poller.poll()
        return before, hot.submit_predict(body, 0, len(body), replies.append)

    assert asyncio.run(ask()) == (True, False)
    (reply,) = replies
    assert reply is not None
    assert orjson.loads(reply.body)["generation"] == 1
