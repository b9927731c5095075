"""Requests for the model of one tensor, handed to the fast path without a connection."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from services.inference.fast_path.hot_requests import HotRequests
from services.inference.fast_path.reply import Reply
from services.inference.routes import make_fast_path
from tests.fakes.api_keys import ANYONE
from tests.fakes.inference_server import InferenceServer
from tests.fakes.tensor_model import SIZE

ID = re.compile(rb'"([0-9a-v]{32})"')
LEFT = "left to the ordinary path"
# A body, and the length of its JSON head if binary tensors follow; of `/predict`: "rows".
Body = tuple[bytes, int | str | None]


def numbers(*first: float) -> list[float]:
    return [number + place for number in first for place in range(SIZE)]


def infer(*first: float, data: Any = None, **rest: Any) -> Body:
    data = numbers(*first) if data is None else data
    tensor = {"name": "x", "shape": [len(first), SIZE], "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [tensor], **rest}).encode(), None


def binary(*first: float) -> Body:
    array = np.array(numbers(*first), np.float32).tobytes()
    tensor = {"name": "x", "shape": [len(first), SIZE], "datatype": "FP32"}
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(array)}}]}).encode()
    return head + array, len(head)


def predict(*first: float) -> Body:
    return json.dumps({"model": "sums", "rows": [{"x": numbers(one)} for one in first]}).encode(), "rows"


def submit(hot: HotRequests, body: Body, answer: Callable[[Reply | None], None]) -> bool:
    raw, kind = body
    framed, start, end = b"head" + raw + b"tail", 4, 4 + len(raw)
    if kind == "rows":
        return hot.submit_predict(framed, start, end, answer)
    assert not isinstance(kind, str)
    return hot.submit_infer("sums", framed, start, end, kind, answer)


def ask(server: InferenceServer, *iterations: Sequence[Body]) -> list[list[Reply | str]]:
    """The answers to bodies that arrive in one iteration of the loop, iteration by iteration."""

    async def asking() -> list[list[Reply | str]]:
        hot = make_fast_path(
            server.settings, server.slots, server.predictor, server.metrics, authenticator=ANYONE
        )
        found = []
        for bodies in iterations:
            answers: list[Reply | str | None] = [None] * len(bodies)

            def receiver(place: int, answers: list[Any] = answers) -> Callable[[Reply | None], None]:
                def answer(reply: Reply | None) -> None:
                    assert answers[place] is None, "answered twice"
                    answers[place] = LEFT if reply is None else reply

                return answer

            for place, body in enumerate(bodies):
                if not submit(hot, body, receiver(place)):
                    answers[place] = LEFT
            end = time.monotonic() + 20
            while None in answers and time.monotonic() < end:
                await asyncio.sleep(0)
            found.append([one for one in answers if one is not None])
            assert len(found[-1]) == len(bodies)
        return found

    answers = asyncio.run(asking())
    assert server.metrics.in_flight == 0
    assert all(servable.in_flight == 0 for servable in server.slots.current())
    return answers


def scores(answers: Sequence[Reply | str]) -> list[Any]:
    """The numbers of each answer."""

    def of(reply: Reply) -> Any:
        document = json.loads(reply.body)
        if "predictions" in document:
            return [one["score"] for one in document["predictions"]]
        return document["outputs"][0]["data"]

    return [one if isinstance(one, str) else of(one) for one in answers]


def sum_of(first: float) -> float:
    return sum(numbers(first))
