"""Where calls run follows what they take, on a server in memory with a clock of its own."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from services.inference.models.servable import Array, Engine, Servable
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore


class TimedEngine:
    """The real engine; a call takes `seconds` on the clock, and remembers its thread."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.device, self.inputs, self.outputs = engine.device, engine.inputs, engine.outputs
        self.batch_sizes, self.form = engine.batch_sizes, engine.form
        self.now = 0.0
        self.seconds = 0.001
        self.threads: list[str] = []

    def run(self, output: str, feeds: Mapping[str, Array]) -> Array:
        self.now += self.seconds
        self.threads.append(threading.current_thread().name)
        return self.engine.run(output, feeds)


@pytest.fixture
def server(toys: ToyStore) -> InferenceServer:
    toys.put_and_release(4.0)
    return InferenceServer(toys, inline_seconds=0.004)


def timed(server: InferenceServer) -> tuple[TimedEngine, Servable]:
    servable = server.slots.peek("toy")
    assert servable is not None
    assert servable._engine is not None
    engine = TimedEngine(servable._engine)
    servable._engine = engine
    servable.estimate.clock = lambda: engine.now
    servable.estimate.start_with(per_call=0.001, per_row=0.0)
    return engine, servable


def ask(server: InferenceServer, count: int) -> None:
    answers = server.ask_together(
        *[lambda client: client.post("/predict", json={"rows": [ROW]}) for _ in range(count)]
    )
    assert {answer.json()["predictions"][0]["score"] for answer in answers} == {4.0}


def status(server: InferenceServer) -> dict[str, Any]:
    calls: dict[str, Any] = server.ask("GET", "/status.json").json()["models"][0]["calls"]
    return calls


def test_slow_model_moves_to_threads_and_back(server: InferenceServer) -> None:
    engine, servable = timed(server)
    ask(server, 5)
    assert not any(name.startswith("model-call") for name in engine.threads)
    assert server.sample("homeostat_inference_calls_inline", model="toy") == 1

    engine.seconds = 0.040
    for _ in range(3):
        ask(server, 1)
    engine.threads.clear()
    ask(server, 5)
    assert all(name.startswith("model-call") for name in engine.threads)
    assert server.sample("homeostat_inference_calls_inline", model="toy") == 0
    assert (server.sample("homeostat_inference_expected_call_seconds", model="toy") or 0) > 0.004
    assert not status(server)["inline"]
    assert "on a thread" in server.ask("GET", "/status").text

    engine.seconds = 0.001
    for _ in range(40):
        ask(server, 1)
    engine.threads.clear()
    ask(server, 5)
    assert not any(name.startswith("model-call") for name in engine.threads)
    assert status(server)["inline"]
    assert status(server)["expected_call_seconds"] == servable.seconds(1) < 0.004
    changes = server.sample("homeostat_inference_call_estimate_changes_total", model="toy")
    assert changes == servable.estimate.changes >= 2
