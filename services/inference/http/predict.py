"""`POST /predict`: rows as objects of feature names and values."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy.typing as npt
import orjson

from services.inference.http.request import Request
from services.inference.http.response import Response
from services.inference.http.routing_key import parse_key
from services.inference.http.timestamps import parse_given_timestamp
from services.inference.metrics import InferenceMetrics
from services.inference.models.servable import Servable
from services.inference.on_demand.model_pool import ModelPool
from services.inference.prediction.call import Prediction
from services.inference.prediction.class_scores import scores_by_label
from services.inference.prediction.predictor import Predictor
from services.inference.rollout.canary import CanaryAnswers
from shared.contracts.prediction_id import IdBlock
from shared.errors import InvalidRequest
from shared.http.json_body import parse_json
from shared.validation_text import kind_of, show

_KEYS = frozenset({"model", "event_time", "key", "rows"})


class PredictHandler:
    """Handles `/predict`."""

    def __init__(
        self,
        models: ModelPool,
        predictor: Predictor,
        canaries: CanaryAnswers,
        metrics: InferenceMetrics,
        *,
        maximum_rows: int,
    ) -> None:
        self._models = models
        self._canaries = canaries
        self._predictor = predictor
        self._metrics = metrics
        self._maximum_rows = maximum_rows

    async def post(self, request: Request) -> Response:
        """Validate the rows, predict, record the predictions, respond."""
        start = time.perf_counter()
        document = parse_json(request.body, dict)
        rows = self._rows(document)
        model = document.get("model")
        if model is not None and not isinstance(model, str):
            raise InvalidRequest(
                f"`model` is {show(model)}", field="model", expected="the name of a model", status=400
            )
        live = request.servable = await self._models.acquire(model)
        try:
            event_time = parse_given_timestamp(document.get("event_time"), field="event_time")
            key = parse_key(document.get("key"))
            text = request.body
            may_hold_booleans = b"true" in text or b"false" in text

            async def attempt(servable: Servable, first_id: IdBlock | None) -> tuple[Servable, Prediction]:
                batch = servable.schema.batch(rows, may_hold_booleans=may_hold_booleans)
                return servable, await self._predictor.predict(
                    servable,
                    batch,
                    event_time=event_time,
                    traceparent=request.traceparent(),
                    first_id=first_id,
                    key=key,
                )

            servable, prediction = await self._canaries.answer(live, key, attempt)
            response = Response(200, write_predictions(servable, prediction))
            self._metrics.answered(servable, len(rows), time.perf_counter() - start)
            return response
        finally:
            self._models.release(live)

    def _rows(self, document: Any) -> list[Any]:
        if not document.keys() <= _KEYS:
            name = min(document.keys() - _KEYS)[:80]
            raise InvalidRequest(
                f"unknown field {name!r}",
                field=name,
                expected="only `model`, `event_time`, `key` and `rows`",
                status=400,
            )
        rows = document.get("rows")
        if not isinstance(rows, list):
            raise InvalidRequest(
                "`rows` is missing" if rows is None else f"`rows` is {kind_of(rows)}",
                field="rows",
                expected="a list of objects, one per row",
                status=400,
            )
        if len(rows) > self._maximum_rows:
            raise InvalidRequest(
                f"`rows` has {len(rows)} rows",
                field="rows",
                expected=f"at most {self._maximum_rows} rows in one request",
                status=413,
            )
        return rows


def write_predictions(servable: Servable, prediction: Prediction) -> bytes:
    """The body of a response."""
    return write_predictions_of_requests(servable, prediction, (len(prediction.output),))[0]


def write_predictions_of_requests(
    servable: Servable, prediction: Prediction, sizes: Sequence[int]
) -> list[bytes]:
    """The bodies of the responses to several requests, with so many rows each."""
    scores, output = prediction.scores, prediction.output
    if prediction.classes is None and scores is not None:
        middle, end = b',"score":', b"}"
    elif servable.is_vector and not servable.names:
        middle, end = b',"embedding":[', b"]}"
        scores = None
    else:
        items = [orjson.dumps(_items(servable, one)) for one in prediction.split(sizes)]
        return [b"%b%b}" % (servable.reply_head, one) for one in items]
    if len(sizes) == len(prediction.prediction_ids):  # one row each
        head = b'%b[{"prediction_id":' % servable.reply_head
        rows = zip(
            prediction.prediction_ids.text.split(b","), repeat(middle), _texts(scores, output), repeat(end)
        )
        return [b"%b%b%b%b%b]}" % (head, *row) for row in rows]
    # Many rows would need an object each: the text with their ids is the form of a response. One response at a time: the pieces
    # of all of them would not stay in the cache, and took 15 µs more of each.
    head = b'%b[{"prediction_id":' % servable.reply_head
    last = middle + b"%b" + end
    form = last + b',{"prediction_id":'
    bodies, start = [], 0
    for ids, size in zip(prediction.prediction_ids.texts(sizes), sizes, strict=True):
        part = slice(start, start + size)
        answers = _texts(None if scores is None else scores[part], output[part])
        bodies.append(b"%b%b%b]}" % (head, ids.replace(b",", form), last) % tuple(answers))
        start += size
    return bodies


def _texts(scores: list[float] | None, output: npt.NDArray[Any]) -> list[bytes]:
    """The JSON text of each row's score, or of its numbers (`scores` is None)."""
    if scores is not None:
        return orjson.dumps(scores)[1:-1].split(b",")
    # As one array: orjson writes the shortest text of each float32, half as long as that of the float64 of the same value.
    return orjson.dumps(output, option=orjson.OPT_SERIALIZE_NUMPY)[2:-2].split(b"],[")


def _items(servable: Servable, prediction: Prediction) -> list[dict[str, Any]]:
    if prediction.classes is not None:
        return _class_items(servable, prediction)
    if servable.names:
        return [
            {"prediction_id": identity, "values": dict(zip(servable.names, row, strict=True))}
            for identity, row in zip(prediction.prediction_ids, prediction.output.tolist(), strict=True)
        ]
    return [
        {"prediction_id": identity, "output": output}
        for identity, output in zip(prediction.prediction_ids, prediction.output.tolist(), strict=True)
    ]


def _class_items(servable: Servable, prediction: Prediction) -> list[dict[str, Any]]:
    assert prediction.classes is not None
    assert prediction.scores is not None
    values = servable.labels.values
    return [
        {"prediction_id": identity, "label": values[place], "score": score, "scores": scores}
        for identity, place, score, scores in zip(
            prediction.prediction_ids,
            prediction.classes.tolist(),
            prediction.scores,
            scores_by_label(prediction.output, servable.labels),
            strict=True,
        )
    ]
