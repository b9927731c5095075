"""The sweep over all connections, with connections that take long."""

from __future__ import annotations

import asyncio
import time

from services.inference.routes import make_fast_path
from tests.fakes.api_keys import ANYONE
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ToyStore


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
