"""Requests of one iteration are answered as each alone would be, and one cannot fail another."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from services.inference.fast_path.reply import Reply
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.model_queue import SLICE_SECONDS
from services.inference.routes import make_fast_path
from shared.errors import UnservableModel
from tests.fakes.api_keys import ANYONE
from tests.fakes.hot_bodies import (
    ID,
    LEFT,
    Body,
    ask,
    binary,
    infer,
    numbers,
    predict,
    scores,
    submit,
    sum_of,
)
from tests.fakes.inference_server import InferenceServer
from tests.fakes.path_pair import mutated
from tests.fakes.tensor_model import release_tensor
from tests.fakes.toy_model import ToyStore

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in (cast|dot|reduce):RuntimeWarning")


@pytest.fixture
def server(toys: ToyStore) -> InferenceServer:
    release_tensor(toys)
    return InferenceServer(toys)


@pytest.fixture
def sums(server: InferenceServer) -> Servable:
    servable = server.slots.peek("sums")
    assert servable is not None
    servable.seconds = lambda rows: 0.0  # type: ignore[method-assign]  # on any machine quick enough
    servable.batches = False
    return servable


@pytest.mark.parametrize("make", [infer, binary, predict])
@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("rows", [1, 3])
def test_requests_share_a_record(
    server: InferenceServer, sums: Servable, make: Callable[..., Body], batches: bool, rows: int
) -> None:
    sums.batches = batches
    ran: list[int] = []
    run = sums.run
    sums.run = lambda batch: ran.append(batch.rows) or run(batch)  # type: ignore[method-assign,func-returns-value]
    bodies = [make(*(10.0 * place + row for row in range(rows))) for place in range(5)]
    first, answers = ask(server, [make(*range(rows))], bodies)
    assert scores(first) == [[sum_of(row) for row in range(rows)]]
    assert scores(answers) == [[sum_of(10 * place + row) for row in range(rows)] for place in range(5)]
    assert ran == [rows, *([5 * rows] if batches else [rows] * 5)]
    _, record = server.spool.predictions
    assert record["columns"]["x"].tolist() == [
        numbers(10 * place + row) for place in range(5) for row in range(rows)
    ]
    sent = [ID.findall(one.body) for one in answers if isinstance(one, Reply)]
    assert [len(one) for one in sent] == [rows] * 5
    assert [one.decode() for ids in sent for one in ids] == list(record["prediction_ids"])
    assert server.metrics.requests_by_outcome()["sums"]["answered"] == 6
    assert (
        server.registry.get_sample_value("homeostat_inference_batch_rows_sum", {"model": "sums"}) == 6 * rows
    )


@pytest.mark.parametrize("make", [infer, binary, predict])
def test_many_requests_are_taken_in_parts(
    server: InferenceServer, sums: Servable, make: Callable[..., Body]
) -> None:
    sums.batches = True
    sums.schema.row_bytes = (256 << 10) // 4  # four rows fill an array
    ran: list[int] = []
    run = sums.run
    sums.run = lambda batch: ran.append(batch.rows) or run(batch)  # type: ignore[method-assign,func-returns-value]
    _, answers = ask(server, [make(0)], [make(place) for place in range(10)])
    assert scores(answers) == [[sum_of(place)] for place in range(10)]
    assert ran == [1, 4, 4, 2]


def test_requests_of_rows_in_several_batches_are_called_for_each(
    server: InferenceServer, sums: Servable
) -> None:
    """Large tensors are not copied into one array: each request has its own batch, and the record has them all."""
    sums.batches = False
    sums.schema.row_bytes = (512 << 10) // 4  # four rows fill a record
    _, answers = ask(server, [binary(0)], [binary(place) for place in range(6)])
    assert scores(answers) == [[sum_of(place)] for place in range(6)]
    assert [len(record["prediction_ids"]) for record in server.spool.predictions] == [1, 4, 2]
    assert [len(record["following"]) for record in server.spool.predictions] == [0, 3, 1]


@pytest.mark.parametrize("make", [infer, binary, predict])
@pytest.mark.parametrize("batches", [False, True])
def test_long_bodies_are_read_as_they_arrive(
    server: InferenceServer, sums: Servable, make: Callable[..., Body], batches: bool
) -> None:
    sums.batches = batches
    rows = [[place / 100 + row / 2 for row in range(300)] for place in range(3)]
    _, answers = ask(server, [make(*rows[0])], [make(*one) for one in rows])
    assert scores(answers) == [pytest.approx([sum_of(number) for number in one], rel=1e-6) for one in rows]
    parts = [
        one for record in server.spool.predictions[1:] for one in (record["columns"], *record["following"])
    ]
    logged = np.concatenate([part["x"][:, 0] for part in parts])
    assert logged.tolist() == np.array(rows, np.float32).ravel().tolist()


@pytest.mark.parametrize("make", [infer, predict])
def test_long_body_that_is_wrong_fails_alone(
    server: InferenceServer, sums: Servable, make: Callable[..., Body]
) -> None:
    right, kind = make(*range(300))
    wrong = right.replace(b"7.0", b"null", 1) if b"7.0" in right else right.replace(b" 7,", b" null,", 1)
    assert wrong != right
    _, answers = ask(server, [(right, kind)], [(right, kind), (wrong, kind), (right, kind)])
    assert [answer == LEFT for answer in answers] == [False, True, False]


def test_different_rows_per_request(server: InferenceServer, sums: Servable) -> None:
    """Bodies of `/predict` have one plan, with any number of rows from two on."""
    bodies = [predict(1, 2), predict(3, 4, 5), predict(6), predict(7, 8)]
    _, _, answers = ask(server, [predict(0, 0)], [predict(0)], bodies)
    assert scores(answers) == [
        [sum_of(1), sum_of(2)],
        [sum_of(3), sum_of(4), sum_of(5)],
        [sum_of(6)],
        [sum_of(7), sum_of(8)],
    ]
    assert [len(record["prediction_ids"]) for record in server.spool.predictions[2:]] == [8]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (infer(1, data=[1, 2, 3]), LEFT),
        (infer(1, data=[1, 2, 3, None]), LEFT),
        (infer(1, data=[1, 2, 3, 4, 5]), LEFT),
        (infer(1, data=[1, 2, 1e16, 3, 4]), LEFT),
        (infer(1, data=[1, 2, [3], 4]), LEFT),
        # Plainly right, but not for the plan: read with the ordinary functions.
        (infer(1, data=[2e15, 0, 0, 0]), [1000.0]),
    ],
)
def test_what_a_plan_cannot_read_fails_alone(
    server: InferenceServer, sums: Servable, wrong: Body, expected: Any
) -> None:
    _, answers = ask(server, [infer(0)], [infer(1), wrong, infer(2)])
    assert scores(answers) == [[sum_of(1)], expected, [sum_of(2)]]
    logged = [one for record in server.spool.predictions[1:] for one in record["prediction_ids"]]
    assert sorted(logged) == sorted(
        one.decode() for reply in answers if isinstance(reply, Reply) for one in ID.findall(reply.body)
    )


@pytest.mark.parametrize("batches", [False, True])
def test_rows_the_model_fails_on_fail_alone(server: InferenceServer, sums: Servable, batches: bool) -> None:
    sums.batches = batches
    run = sums.run

    def sometimes(batch: Batch) -> Any:
        if 13.0 in batch.feeds["x"][:, 0]:
            raise UnservableModel("unlucky")
        return run(batch)

    sums.run = sometimes  # type: ignore[method-assign]
    _, answers = ask(server, [infer(0)], [infer(1), infer(13), infer(2)])
    assert scores(answers) == [[sum_of(1)], LEFT, [sum_of(2)]]


def test_rows_that_take_long_are_not_for_the_event_loop(server: InferenceServer, sums: Servable) -> None:
    sums.seconds = lambda rows: float(rows > 2)  # type: ignore[method-assign]
    _, answers = ask(server, [predict(0, 1)], [predict(0, 1, 2), predict(0, 1)])
    assert scores(answers) == [LEFT, [sum_of(0), sum_of(1)]]


def test_log_that_fails_leaves_all_to_the_ordinary_path(server: InferenceServer, sums: Servable) -> None:
    ask(server, [infer(0)])
    server.spool.append_together = lambda records: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    assert ask(server, [infer(0)], [infer(1), infer(2)])[1] == [LEFT, LEFT]


@pytest.mark.parametrize("make", [infer, predict])
def test_version_that_was_replaced_meanwhile_answers_nothing(
    server: InferenceServer, sums: Servable, toys: ToyStore, make: Callable[..., Body]
) -> None:
    async def asking() -> list[Reply | None]:
        hot = make_fast_path(
            server.settings, server.slots, server.predictor, server.metrics, authenticator=ANYONE
        )
        answers: list[Reply | None] = []
        submit(hot, make(0), answers.append)
        await asyncio.sleep(0.01)
        assert submit(hot, make(1), answers.append)
        toys.release(sums.version, model="sums")
        server.poller.poll()
        assert server.slots.peek("sums") is not sums
        await asyncio.sleep(0.01)
        assert submit(hot, make(2), answers.append)
        await asyncio.sleep(0.01)
        assert [one.in_flight for one in (sums, *server.slots.current())] == [0, 0]
        return answers

    before, meanwhile, after = asyncio.run(asking())
    assert meanwhile is None
    generations = [record["generation"] for record in server.spool.predictions]
    assert generations == [1, 2]
    assert before is not None
    assert after is not None


def test_long_queue_leaves_requests_to_the_ordinary_path(server: InferenceServer, sums: Servable) -> None:
    ask(server, [infer(0)])
    server.predictor.queue.expected_seconds = lambda: 2.5  # type: ignore[method-assign]
    assert ask(server, [infer(0), infer(1)]) == [[LEFT, LEFT]]
    assert len(server.spool.predictions) == 1


def refuse(reply: Reply | None) -> None:
    raise ZeroDivisionError


def test_connection_that_cannot_be_written_to_fails_alone(server: InferenceServer, sums: Servable) -> None:
    problems: list[Any] = []

    async def asking() -> list[Reply | None]:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        hot = make_fast_path(
            server.settings, server.slots, server.predictor, server.metrics, authenticator=ANYONE
        )
        answers: list[Reply | None] = []
        for answer in (answers.append, refuse, answers.append):
            submit(hot, infer(0), answer)
            if not answers:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        return answers

    assert [reply is not None for reply in asyncio.run(asking())] == [True, True]
    assert isinstance(problems[0]["exception"], ZeroDivisionError)


def test_groups_leave_the_loop_to_others_between_slices(server: InferenceServer, sums: Servable) -> None:
    sums.batches = False
    sums.share = lambda rows: SLICE_SECONDS / 2  # type: ignore[method-assign]
    run = sums.run

    def slow(batch: Batch) -> Any:
        time.sleep(SLICE_SECONDS / 2)
        return run(batch)

    order: list[str] = []

    async def asking() -> None:
        hot = make_fast_path(
            server.settings, server.slots, server.predictor, server.metrics, authenticator=ANYONE
        )
        submit(hot, infer(0), lambda reply: None)
        await asyncio.sleep(0.01)
        sums.run = slow  # type: ignore[method-assign]

        def tick() -> None:
            order.append("turn")
            if order.count("answer") < 8:
                asyncio.get_running_loop().call_soon(tick)

        for place in range(8):
            submit(hot, infer(place), lambda reply: order.append("answer"))
        tick()
        end = time.monotonic() + 20
        while order.count("answer") < 8 and time.monotonic() < end:
            await asyncio.sleep(0)

    asyncio.run(asking())
    assert "answer answer answer" not in " ".join(order), order


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("make", [infer, binary, predict])
def test_any_group_answers_as_each_alone(
    server: InferenceServer, sums: Servable, make: Callable[..., Body], seed: int
) -> None:
    chance = random.Random(seed)

    def one() -> Body:
        raw, kind = make(*(round(chance.uniform(-9, 9), 3) for _ in range(chance.choice((1, 1, 1, 2)))))
        return (mutated(raw, chance) if chance.random() < 0.3 else raw), kind

    ask(server, [make(0)], [make(0, 1)])
    for _ in range(15):
        bodies = [one() for _ in range(chance.randint(2, 12))]
        (together,) = ask(server, bodies)
        alone = [answer for (answer,) in ask(server, *([body] for body in bodies))]
        assert [_plain(answer) for answer in together] == [_plain(answer) for answer in alone], bodies


def _plain(answer: Reply | str) -> Any:
    return answer if isinstance(answer, str) else (ID.sub(b"ID", answer.body), answer.headers)
