"""What arrives in one iteration of the loop is answered together, and one request cannot fail another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction import model_queue
from services.inference.prediction.call import Call, Prediction
from services.inference.prediction.call_group import MAX_RECORD_BYTES
from services.inference.prediction.model_queue import SLICE_SECONDS
from shared.errors import InvalidRequest, UnservableModel
from tests.fakes.inference_server import IDS, InferenceServer
from tests.fakes.tensor_model import release_tensor
from tests.fakes.toy_model import ROW, ToyStore

Answer = tuple[Prediction | None, Exception | None]


@pytest.fixture
def server(toys: ToyStore) -> InferenceServer:
    toys.put_and_release(0.5)
    return InferenceServer(toys)


@pytest.fixture
def servable(server: InferenceServer) -> Servable:
    servable = server.slots.peek("toy")
    assert servable is not None
    return servable


def ask(server: InferenceServer, *calls: Callable[[Callable[..., None]], Call]) -> list[Answer]:
    """The answers to calls that are submitted in one iteration."""

    async def asking() -> list[Answer]:
        answers: list[Answer | None] = [None] * len(calls)
        all_answered = asyncio.Event()

        def receiver(place: int) -> Callable[..., None]:
            def done(prediction: Prediction | None, error: Exception | None) -> None:
                answers[place] = (prediction, error)
                if None not in answers:
                    all_answered.set()

            return done

        for place, call in enumerate(calls):
            server.predictor.queue.submit(call(receiver(place)))
        await asyncio.wait_for(all_answered.wait(), 20)
        return [answer for answer in answers if answer is not None]

    return asyncio.run(asking())


def checked(servable: Servable, *rows: dict[str, Any], **rest: Any) -> Callable[[Callable[..., None]], Call]:
    batch = servable.schema.batch(rows)
    return lambda done: Call(servable, len(rows), done, batch=batch, **rest)


def decoded(servable: Servable, *rows: Any) -> Callable[[Callable[..., None]], Call]:
    return lambda done: Call(servable, len(rows), done, documents=list(rows), check=servable.schema.batch)


def amounts(*values: float) -> list[dict[str, Any]]:
    return [{**ROW, "amount": value} for value in values]


@pytest.mark.parametrize("make", [checked, decoded])
@pytest.mark.parametrize("batches", [False, True])
def test_calls_of_one_iteration_share_a_record(
    server: InferenceServer, servable: Servable, make: Any, batches: bool
) -> None:
    servable.batches = batches
    ran: list[int] = []
    run = servable.run
    servable.run = lambda batch: ran.append(batch.rows) or run(batch)  # type: ignore[method-assign,func-returns-value]
    answers = ask(
        server, make(servable, *amounts(1, 2)), make(servable, *amounts(3)), make(servable, *amounts(4, 5))
    )
    (record,) = server.spool.predictions
    assert record["columns"]["amount"] == [1.0, 2.0, 3.0, 4.0, 5.0]
    ids = [list(prediction.prediction_ids) for prediction, _ in answers if prediction is not None]
    assert [len(one) for one in ids] == [2, 1, 2]
    assert [one for block in ids for one in block] == record["prediction_ids"]
    assert all(IDS.is_ours(one, "toy") for one in record["prediction_ids"])
    assert ran == ([5] if batches else [2, 1, 2])


def test_answer_does_not_precede_its_record(server: InferenceServer, servable: Servable) -> None:
    logged: list[int] = []

    def noting(done: Callable[..., None]) -> Call:
        def note(*answer: Any) -> None:
            logged.append(len(server.spool.predictions))
            done(*answer)

        return Call(servable, 1, note, batch=servable.schema.batch(amounts(1)))

    ask(server, noting, noting)
    assert logged == [1, 1]


def test_failed_log_fails_the_answer(server: InferenceServer, servable: Servable) -> None:
    server.spool.append_together = lambda records: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    ((prediction, error),) = ask(server, checked(servable, *amounts(1)))
    assert prediction is None
    assert isinstance(error, ZeroDivisionError)


def test_invalid_rows_fail_their_call_only(server: InferenceServer, servable: Servable) -> None:
    answers = ask(
        server,
        decoded(servable, *amounts(1)),
        decoded(servable, {**ROW, "colour": "blue"}),
        decoded(servable, *amounts(2)),
    )
    assert [type(error) for _, error in answers] == [type(None), InvalidRequest, type(None)]
    assert sum(len(record["prediction_ids"]) for record in server.spool.predictions) == 2


def test_rows_the_model_fails_on_fail_their_call_only(server: InferenceServer, servable: Servable) -> None:
    servable.batches = True
    run = servable.run

    def sometimes(batch: Batch) -> Any:
        if 13.0 in batch.feeds["amount"]:
            raise UnservableModel("unlucky")
        return run(batch)

    servable.run = sometimes  # type: ignore[method-assign]
    answers = ask(server, *(checked(servable, *amounts(value)) for value in (1, 13, 2)))
    assert [type(error) for _, error in answers] == [type(None), UnservableModel, type(None)]


def test_event_time_and_trace_stay_with_their_rows(server: InferenceServer, servable: Servable) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ask(
        server,
        checked(servable, *amounts(1)),
        checked(servable, *amounts(2), traceparent=trace),
        checked(servable, *amounts(3)),
    )
    assert [(record["columns"]["amount"], record["traceparent"]) for record in server.spool.predictions] == [
        ([1.0], ""),
        ([2.0], trace),
        ([3.0], ""),
    ]


def test_loop_serves_others_between_slices(server: InferenceServer, servable: Servable) -> None:
    run = servable.run

    def slow(batch: Batch) -> Any:
        time.sleep(SLICE_SECONDS)
        return run(batch)

    servable.run = slow  # type: ignore[method-assign]
    servable.batches = False
    servable.seconds = lambda rows: SLICE_SECONDS  # type: ignore[method-assign]
    order: list[str] = []

    async def asking() -> None:
        left = asyncio.Semaphore(0)

        def tick() -> None:
            order.append("turn")
            if order.count("answer") < 6:
                asyncio.get_running_loop().call_soon(tick)

        def answered(*_: Any) -> None:
            order.append("answer")
            left.release()

        for _ in range(6):
            batch = servable.schema.batch(amounts(1))
            server.predictor.queue.submit(Call(servable, 1, answered, batch=batch))
        assert server.predictor.queue.expected_seconds() == pytest.approx(6 * SLICE_SECONDS)
        tick()
        for _ in range(6):
            await asyncio.wait_for(left.acquire(), 20)
        assert server.predictor.queue.expected_seconds() == 0

    asyncio.run(asking())
    text = " ".join(order)
    assert "answer answer" not in text, text
    assert len(server.spool.predictions) == 6


def test_tensor_is_accepted_or_refused_alone(server: InferenceServer, toys: ToyStore) -> None:
    """A list of numbers is read as a whole: among decimals, numpy would take an integer that it refuses alone."""
    release_tensor(toys)
    server.poller.poll()
    sums = server.slots.peek("sums")
    assert sums is not None
    answers = ask(server, decoded(sums, {"x": [0.5, 1, 2, 3]}), decoded(sums, {"x": [2**63] * 4}))
    assert [type(error) for _, error in answers] == [type(None), InvalidRequest]


@pytest.fixture
def images(server: InferenceServer, toys: ToyStore, monkeypatch: pytest.MonkeyPatch) -> Servable:
    """Rows of four numbers that are taken for large ones: ten of them fill a record. On any machine they fit into a slice."""
    monkeypatch.setattr(model_queue, "SLICE_SECONDS", 60.0)
    release_tensor(toys)
    server.poller.poll()
    sums = server.slots.peek("sums")
    assert sums is not None
    sums.batches = False
    sums.schema.row_bytes = MAX_RECORD_BYTES // 10
    return sums


def image(servable: Servable, number: int, **rest: Any) -> Callable[[Callable[..., None]], Call]:
    return checked(servable, {"x": [number, 0.5, 0, 0]}, **rest)


def numbers_of(record: Mapping[str, Any]) -> list[float]:
    return [number for one in (record["columns"], *record["following"]) for number in one["x"][:, 0]]


def test_large_tensors_share_a_record_up_to_its_size(server: InferenceServer, images: Servable) -> None:
    answers = ask(server, *(image(images, number) for number in range(12)))
    assert [prediction.scores for prediction, _ in answers if prediction] == [[n + 0.5] for n in range(12)]
    records = server.spool.predictions
    assert [numbers_of(record) for record in records] == [[*range(10)], [10, 11]]
    logged = [one for record in records for one in record["prediction_ids"]]
    assert logged == [one for prediction, _ in answers if prediction for one in prediction.prediction_ids]
    assert [score for record in records for score in record["scores"]] == [n + 0.5 for n in range(12)]


def test_large_tensor_with_a_trace_has_a_record_of_its_own(server: InferenceServer, images: Servable) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answers = ask(server, image(images, 1), image(images, 2, traceparent=trace), image(images, 3))
    found = [
        (numbers_of(record), record["scores"], record["traceparent"]) for record in server.spool.predictions
    ]
    assert found == [([1], [1.5], ""), ([2], [2.5], trace), ([3], [3.5], "")]
    assert [prediction.scores for prediction, _ in answers if prediction] == [[1.5], [2.5], [3.5]]


def test_groups_of_a_batching_model_share_a_record(server: InferenceServer, images: Servable) -> None:
    """They are called in parts of at most 256 KiB; the log needs one record all the same."""
    images.batches = True
    images.schema.row_bytes = 120_000
    answers = ask(server, *(image(images, number) for number in range(4)))
    (record,) = server.spool.predictions
    assert numbers_of(record) == [0, 1, 2, 3]
    assert record["scores"] == [0.5, 1.5, 2.5, 3.5]
    assert [prediction.scores for prediction, _ in answers if prediction] == [[n + 0.5] for n in range(4)]


def test_group_with_a_trace_is_not_merged(server: InferenceServer, images: Servable) -> None:
    """Each group has two calls in one batch: merged, the batches would no longer be those of the calls."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    images.batches = True
    images.schema.row_bytes = 120_000
    answers = ask(
        server, image(images, 1), image(images, 2), image(images, 3), image(images, 4, traceparent=trace)
    )
    records = server.spool.predictions
    assert [record["columns"]["x"][:, 0].tolist() for record in records] == [[1, 2], [3], [4]]
    assert [record["traceparent"] for record in records] == ["", "", trace]
    assert [prediction.scores for prediction, _ in answers if prediction] == [[1.5], [2.5], [3.5], [4.5]]


def test_large_tensor_the_model_fails_on_fails_alone(server: InferenceServer, images: Servable) -> None:
    run = images.run

    def sometimes(batch: Batch) -> Any:
        if batch.feeds["x"][0, 0] == 13:
            raise UnservableModel("unlucky")
        return run(batch)

    images.run = sometimes  # type: ignore[method-assign]
    answers = ask(server, *(image(images, number) for number in (1, 13, 2)))
    assert [type(error) for _, error in answers] == [type(None), UnservableModel, type(None)]
    assert [row for record in server.spool.predictions for row in numbers_of(record)] == [1, 2]


def test_servables_take_turns(server: InferenceServer, servable: Servable, toys: ToyStore) -> None:
    toys.put_and_release(1.0, model="other")
    server.poller.poll()
    other = server.slots.peek("other")
    assert other is not None
    order: list[str] = []

    def noting(one: Servable) -> Callable[[Callable[..., None]], Call]:
        def make(done: Callable[..., None]) -> Call:
            def note(*answer: Any) -> None:
                order.append(one.model)
                done(*answer)

            return Call(one, 1, note, batch=one.schema.batch(amounts(1)))

        return make

    def run(batch: Batch) -> Any:
        time.sleep(SLICE_SECONDS)
        return np.zeros(batch.rows, np.float32)

    for one in (servable, other):
        one.batches = False
        one.seconds = lambda rows: SLICE_SECONDS  # type: ignore[method-assign]
        one.run = run  # type: ignore[method-assign]
    ask(server, noting(servable), noting(servable), noting(other))
    assert order == ["toy", "other", "toy"]


def test_long_queue_is_refused_with_retry_after(server: InferenceServer, servable: Servable) -> None:
    servable.seconds = lambda rows: 0.002  # type: ignore[method-assign]
    queue = server.predictor.queue
    queue.expected_seconds = lambda: 2.5  # type: ignore[method-assign]
    answer = server.predict(ROW)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "QUEUE_SECONDS" in answer.json()["hint"]
    queue.expected_seconds = lambda: 1.5  # type: ignore[method-assign]
    assert server.predict(ROW).status_code == 200
