"""A model call that keeps the event loop is stopped, and goes on where it holds up nothing else."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from services.inference.models.servable import Servable
from services.inference.prediction.call import Prediction
from services.inference.prediction.loop_watchdog import LoopWatchdog
from services.inference.runtimes.stopped_call import CallStopped
from tests.fakes import bad_models
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore

HANGS = {**ROW, "count": 1000}


@pytest.fixture
def server(toys: ToyStore) -> InferenceServer:
    toys.put_and_release(1.0, raw=bad_models.hanging_for_some(turns=10))
    # However busy the machine is, the calls are for the loop.
    server = InferenceServer(toys, inline_seconds=60)
    server.predictor.watchdog.period = 0.05
    return server


@pytest.fixture
def servable(server: InferenceServer) -> Servable:
    servable = server.slots.peek("toy")
    assert servable is not None
    return servable


def test_call_that_hangs_on_the_loop_is_made_again_on_a_thread(
    server: InferenceServer, servable: Servable
) -> None:
    async def run() -> None:
        server.predictor.watchdog.start()

        def predict(row: dict[str, Any]) -> asyncio.Task[Prediction]:
            batch = servable.schema.batch([row])
            return asyncio.create_task(
                server.predictor.predict(servable, batch, event_time=None, traceparent="")
            )

        quick = await asyncio.wait_for(predict(ROW), 20)
        assert quick.scores is not None
        assert server.predictor.is_inline(servable, 1)
        hanging, beside = predict(HANGS), predict(ROW)
        # Of the same iteration of the loop: it was in the call that was stopped.
        assert (await asyncio.wait_for(beside, 5)).scores == quick.scores
        assert not server.predictor.is_inline(servable, 1)
        assert (await asyncio.wait_for(predict(ROW), 5)).scores == quick.scores
        assert not hanging.done()
        for thread in threading.enumerate():
            if thread.name.startswith("model-call-") and thread.ident:
                servable.stop_call(thread.ident)
        with pytest.raises(CallStopped):
            await asyncio.wait_for(hanging, 20)

    asyncio.run(run())
    server.predictor.close()
    assert [len(record["prediction_ids"]) for record in server.spool.predictions] == [1, 1, 1]


class Stops:
    """A servable that notes which thread it had to stop."""

    model, version_short = "m", "v"

    def __init__(self) -> None:
        self.stopped: list[int] = []

    def stop_call(self, thread: int) -> bool:
        self.stopped.append(thread)
        return False


def test_short_calls_one_after_the_other_are_not_stopped() -> None:
    watchdog, servable = LoopWatchdog(0.0), Stops()
    watchdog.period = 0.02
    watchdog.start()
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        watchdog.began(servable)  # type: ignore[arg-type]
        time.sleep(0.001)
        watchdog.ended()
        watchdog.began(servable)  # type: ignore[arg-type]
    watchdog.ended()
    time.sleep(0.1)  # no call: none is stopped
    watchdog.stop()
    assert servable.stopped == []


def test_call_that_cannot_be_stopped_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    watchdog, servable = LoopWatchdog(0.0), Stops()
    watchdog.period = 0.01
    watchdog.start()
    watchdog.began(servable)  # type: ignore[arg-type]
    time.sleep(0.2)
    watchdog.ended()
    watchdog.stop()
    assert servable.stopped == [threading.get_ident()]
    assert capsys.readouterr().out.count("model_call_blocks") == 1
