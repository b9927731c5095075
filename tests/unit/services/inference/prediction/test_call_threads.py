"""What waits when a thread becomes free is its next batch; the loop stays free; a device makes one call at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.call import Prediction
from shared.errors import OperatorError, UnservableModel
from tests.fakes.inference_server import InferenceServer
from tests.fakes.toy_model import ROW, ToyStore

SECONDS = 20.0


class Gate:
    """A servable's calls: each waits until it is let through, and remembers its rows."""

    def __init__(self, servable: Servable, *, device: str = "cpu", batches: bool = True) -> None:
        self.servable = servable
        self.batches: list[list[float]] = []
        self.running = 0
        self.most_at_once = 0
        self._let = threading.Semaphore(0)
        self._lock = threading.Lock()
        servable.run = self._run  # type: ignore[method-assign]
        servable.device = device
        servable.batches = batches

    def let(self, calls: int = 1) -> None:
        self._let.release(calls)

    async def began(self, calls: int) -> None:
        """Wait until so many calls have begun."""
        end = time.monotonic() + SECONDS
        while len(self.batches) < calls:
            assert time.monotonic() < end, f"{len(self.batches)} calls of {calls} began"
            await asyncio.sleep(0.002)

    def _run(self, batch: Batch) -> Any:
        amounts = batch.feeds["amount"].tolist()
        with self._lock:
            self.batches.append(amounts)
            self.running += 1
            self.most_at_once = max(self.most_at_once, self.running)
        assert self._let.acquire(timeout=SECONDS)
        with self._lock:
            self.running -= 1
        if 13.0 in amounts:
            raise UnservableModel("unlucky")
        return np.array(amounts, np.float32)


def make(toys: ToyStore, **settings: Any) -> InferenceServer:
    toys.put_and_release(0.5)
    return InferenceServer(toys, **{"inline_seconds": 0, **settings})


def gate(server: InferenceServer, model: str = "toy", **rest: Any) -> Gate:
    servable = server.slots.peek(model)
    assert servable is not None
    return Gate(servable, **rest)


def predict(server: InferenceServer, servable: Servable, *amounts: float) -> asyncio.Task[Prediction]:
    batch = servable.schema.batch([{**ROW, "amount": amount} for amount in amounts])
    return asyncio.ensure_future(server.predictor.predict(servable, batch, event_time=None, traceparent=""))


async def occupy(server: InferenceServer, calls: Gate) -> asyncio.Task[Prediction]:
    """A call that has begun: what follows it waits."""
    answer = predict(server, calls.servable, 0.0)
    await calls.began(1)
    return answer


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work(), SECONDS)

    asyncio.run(bounded())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_waits_is_the_next_batch(toys: ToyStore, device: str) -> None:
    server = make(toys)
    calls = gate(server, device=device)
    threads = 2 if device == "cpu" else 1

    async def work() -> None:
        first = []
        for number in range(threads):
            first.append(predict(server, calls.servable, float(number)))
            await calls.began(number + 1)
        later = [predict(server, calls.servable, 5.0, 6.0), predict(server, calls.servable, 7.0)]
        await asyncio.sleep(0)
        assert server.predictor.queued() == 2
        calls.let(threads + 1)
        answers = [await one for one in (*first, *later)]
        assert [answer.output.tolist() for answer in answers[-2:]] == [[5.0, 6.0], [7.0]]

    run(work)
    assert calls.batches[-1] == [5.0, 6.0, 7.0]
    assert calls.most_at_once == threads
    assert sum(len(record["prediction_ids"]) for record in server.spool.predictions) == threads + 3


def test_loop_is_free_during_a_call(toys: ToyStore) -> None:
    """Also of a model that would be quick enough for the loop: on a device."""
    server = make(toys, inline_seconds=10)
    calls = gate(server, device="cuda")

    async def work() -> None:
        answer = predict(server, calls.servable, 1.0)
        await calls.began(1)
        assert not answer.done()
        calls.let()
        assert (await answer).output.tolist() == [1.0]

    run(work)


def test_largest_batch_is_kept(toys: ToyStore) -> None:
    server = make(toys, maximum_batch_rows=4)
    calls = gate(server, device="cuda")

    async def work() -> None:
        first = await occupy(server, calls)
        later = [predict(server, calls.servable, *range(rows)) for rows in (3, 2, 2, 6)]
        await asyncio.sleep(0)
        calls.let(4)
        await asyncio.gather(first, *later)

    run(work)
    assert [len(amounts) for amounts in calls.batches] == [1, 3, 4, 6]


def test_model_without_gain_is_called_for_each_request(toys: ToyStore) -> None:
    server = make(toys)
    calls = gate(server, device="cuda", batches=False)

    async def work() -> None:
        answers = [predict(server, calls.servable, float(number)) for number in range(3)]
        await calls.began(1)
        calls.let(3)
        await asyncio.gather(*answers)

    run(work)
    assert calls.batches == [[0.0], [1.0], [2.0]]


def test_delay_waits_for_others_but_not_for_a_full_batch(toys: ToyStore) -> None:
    server = make(toys, batch_delay_seconds=1.0, maximum_batch_rows=4)
    calls = gate(server, device="cuda")
    took: list[float] = []

    async def work() -> None:
        calls.let(2)
        for counts in ((1, 1, 2), (1, 2)):
            start = time.perf_counter()
            answers = []
            for count in counts:
                answers.append(predict(server, calls.servable, *range(count)))
                await asyncio.sleep(0.01)
            await asyncio.gather(*answers)
            took.append(time.perf_counter() - start)

    run(work)
    assert [len(amounts) for amounts in calls.batches] == [4, 3]
    assert took[1] >= 1.0 > took[0]


def test_rows_the_model_fails_on_fail_their_request_only(toys: ToyStore) -> None:
    server = make(toys)
    calls = gate(server, device="cuda")

    async def work() -> None:
        first = await occupy(server, calls)
        later = [predict(server, calls.servable, amount) for amount in (1.0, 13.0, 2.0)]
        await asyncio.sleep(0)
        calls.let(5)
        answers = await asyncio.gather(first, *later, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Prediction, Prediction, UnservableModel, Prediction]

    run(work)
    assert calls.batches == [[0.0], [1.0, 13.0, 2.0], [1.0], [13.0], [2.0]]


def test_servables_of_a_device_take_turns(toys: ToyStore) -> None:
    toys.put_and_release(1.0, model="other")
    server = make(toys)
    toy, other = gate(server, device="cuda"), gate(server, "other", device="cuda")
    toy.servable.batches = False

    async def work() -> None:
        answers = [predict(server, toy.servable, 0.0)]
        await toy.began(1)
        answers += [predict(server, one.servable, 1.0) for one in (toy, toy, other)]
        await asyncio.sleep(0)
        toy.let(2)
        await other.began(1)
        assert len(toy.batches) == 2, "one of the other model's before the third of this one"
        toy.let()
        other.let()
        await asyncio.gather(*answers)

    run(work)


def test_cancelled_request_leaves_the_queue(toys: ToyStore) -> None:
    server = make(toys)
    calls = gate(server, device="cuda")

    async def work() -> None:
        first = await occupy(server, calls)
        cancelled = predict(server, calls.servable, 1.0)
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert server.predictor.queued() == 0
        calls.let()
        await first

    run(work)
    assert calls.batches == [[0.0]]


def test_long_queue_of_a_device_is_refused(toys: ToyStore) -> None:
    server = make(toys, queue_seconds=1.0)
    calls = gate(server, device="cuda")
    calls.servable.share = lambda rows: 0.4 * rows  # type: ignore[method-assign]

    async def work() -> None:
        first = await occupy(server, calls)
        later = [predict(server, calls.servable, 1.0) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(OperatorError, match="expected to take 1.2 s"):
            await predict(server, calls.servable, 1.0)
        calls.let(2)
        await asyncio.gather(first, *later)

    run(work)


def test_closing_makes_the_calls_that_wait(toys: ToyStore) -> None:
    server = make(toys, batch_delay_seconds=1.0)
    calls = gate(server, device="cuda")

    async def work() -> None:
        answer = predict(server, calls.servable, 1.0)
        await asyncio.sleep(0)
        calls.let()
        await asyncio.to_thread(server.predictor.close)
        assert (await answer).output.tolist() == [1.0]

    run(work)


def test_closing_leaves_calls_that_do_not_end(toys: ToyStore) -> None:
    """They would hold up the end of the server."""
    server = make(toys)
    calls = gate(server)

    async def work() -> None:
        answer = await occupy(server, calls)
        closing = asyncio.to_thread(server.predictor.close, 0.05)
        await asyncio.wait_for(closing, SECONDS / 2)
        assert not answer.done()
        calls.let()
        assert len((await answer).output) == 1

    run(work)


def test_canary_leaves_a_thread_to_the_others(toys: ToyStore) -> None:
    """It may hang; nor do its calls that wait count for them."""
    server = make(toys)
    toys.start(toys.put(1.5).version, share=1.0)
    server.poller.poll()
    live, canary = server.slots.peek("toy"), server.slots.sides.canaries["toy"]
    assert live is not None
    hung = Gate(canary, batches=False)

    async def scenario() -> list[int]:
        trials = [predict(server, canary, 1)]
        await hung.began(1)
        trials.append(predict(server, canary, 2))
        await asyncio.sleep(0)
        canary.estimate.start_with(per_call=60.0, per_row=0.0)
        answered = await asyncio.wait_for(predict(server, live, 3), SECONDS)
        assert hung.batches == [[1.0]]
        with pytest.raises(OperatorError):
            await predict(server, canary, 4)
        hung.let(2)
        return [len((await one).output) for one in trials] + [len(answered.output)]

    assert asyncio.run(scenario()) == [1, 1, 1]
