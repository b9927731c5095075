"""The Open Inference Protocol v2: metadata, health and `infer`, for clients such as tritonclient and KServe's."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from services.inference.http.request import Request
from services.inference.http.response import Response, json_response
from services.inference.http.timestamps import parse_timestamp
from services.inference.metrics import InferenceMetrics
from services.inference.models.servable import Servable
from services.inference.models.slot import Slots
from services.inference.open_inference.codec import InferOutput, InferRequest, read_request, write_response
from services.inference.open_inference.features import (
    LABEL,
    PREDICTION_ID,
    SCORE,
    answer_type,
    describe,
    label_type,
    read_batch,
)
from services.inference.prediction.predictor import Prediction, Predictor
from services.inference.status.report import Status
from shared.contracts.manifest import SHORT
from shared.errors import InvalidRequest, NotFound

Handler = Callable[[Request], Awaitable[Response]]

_KNOWN_PATHS = 512

_BINARY_HEADER = b"inference-header-content-length"


class OpenInferenceHandler:
    """Handles all routes below `/v2`."""

    def __init__(
        self,
        slots: Slots[Servable],
        predictor: Predictor,
        metrics: InferenceMetrics,
        status: Status,
        *,
        maximum_rows: int,
    ) -> None:
        self._slots = slots
        self._predictor = predictor
        self._metrics = metrics
        self._status = status
        self._maximum_rows = maximum_rows
        # The handler for a path below `/v2`, or None. Cached: clients use the same few paths.
        self.find = lru_cache(maxsize=_KNOWN_PATHS)(self._find)

    def _find(self, method: str, path: str) -> Handler | None:
        parts = path.split("/")[1:]
        if not parts or parts[0] != "v2":
            return None
        match (method, *parts[1:]):
            case ("GET",) | ("GET", ""):
                return self._server
            case ("GET", "health", "live"):
                return self._live
            case ("GET", "health", "ready"):
                return self._ready
            case ("GET", "models", model):
                return self._about(model, "")
            case ("GET", "models", model, "ready"):
                return self._model_ready(model, "")
            case ("POST", "models", model, "infer"):
                return self._infer(model, "")
            case ("GET", "models", model, "versions", name):
                return self._about(model, name)
            case ("GET", "models", model, "versions", name, "ready"):
                return self._model_ready(model, name)
            case ("POST", "models", model, "versions", name, "infer"):
                return self._infer(model, name)
        return None

    async def _server(self, request: Request) -> Response:
        return json_response(
            {"name": "homeostat", "version": _own_version(), "extensions": ["binary_tensor_data"]}
        )

    async def _live(self, request: Request) -> Response:
        return json_response({"live": True})

    async def _ready(self, request: Request) -> Response:
        ready = self._status.ready()
        return json_response({"ready": ready, "live": True}, 200 if ready else 503)

    def _model_ready(self, model: str, name: str) -> Handler:
        async def handler(request: Request) -> Response:
            servable = self._slots.peek(model)
            ready = servable is not None and _is_version(servable, name)
            return json_response({"name": model, "ready": ready}, 200 if ready else 404)

        return handler

    def _about(self, model: str, name: str) -> Handler:
        async def handler(request: Request) -> Response:
            servable = self._slots.acquire(model)
            try:
                _check_version(servable, name)
                return json_response(describe(servable))
            finally:
                self._slots.release(servable)

        return handler

    def _infer(self, model: str, name: str) -> Handler:
        async def handler(request: Request) -> Response:
            start = time.perf_counter()
            servable = request.servable = self._slots.acquire(model)
            try:
                _check_version(servable, name)
                wire = read_request(request.body, _head_length(request))
                _check_model(servable, wire)
                event_time = parse_timestamp(
                    wire.parameters.get("event_time"), field="event_time", now=datetime.now(UTC)
                )
                batch = read_batch(servable, wire, maximum_rows=self._maximum_rows)
                outputs = _requested_outputs(servable, wire)
                prediction = await self._predictor.predict(
                    servable, batch, event_time=event_time, traceparent=request.traceparent()
                )
                response = _respond(servable, wire, outputs, prediction)
                self._metrics.answered(servable, batch.rows, time.perf_counter() - start)
                return response
            finally:
                self._slots.release(servable)

        return handler


def _own_version() -> str:
    try:
        return version("homeostat")
    except PackageNotFoundError:  # run from a checkout
        return "unpackaged"


def _respond(
    servable: Servable, wire: InferRequest, outputs: dict[str, bool], prediction: Prediction
) -> Response:
    rows = len(prediction.prediction_ids)
    output = prediction.output
    found = {
        servable.output.name: InferOutput(servable.output.name, answer_type(servable), output.shape, output),
        PREDICTION_ID: InferOutput(PREDICTION_ID, "BYTES", (rows,), prediction.prediction_ids),
    }
    if prediction.classes is not None:
        found |= _class_outputs(servable, prediction)
    parameters: dict[str, Any] = {"generation": servable.generation}
    if PREDICTION_ID not in outputs:
        # A client that leaves the ids out of the outputs still gets them as a parameter.
        parameters[PREDICTION_ID] = ",".join(prediction.prediction_ids)
    head: dict[str, Any] = {
        "model_name": servable.model,
        "model_version": servable.version,
        "parameters": parameters,
    }
    if wire.id is not None:
        head["id"] = wire.id
    body, head_length = write_response(head, [(found[name], binary) for name, binary in outputs.items()])
    if head_length is None:
        return Response(200, body)
    headers = ((b"content-type", b"application/octet-stream"), (_BINARY_HEADER, b"%d" % head_length))
    return Response(200, body, headers)


def _class_outputs(servable: Servable, prediction: Prediction) -> dict[str, InferOutput]:
    """The most probable label of each row, and its probability."""
    assert prediction.classes is not None
    rows, best = len(prediction.prediction_ids), prediction.classes
    labels = (
        np.asarray(servable.labels.values, np.int64)[best]
        if label_type(servable) == "INT64"
        else [servable.labels.texts[place] for place in best.tolist()]
    )
    scores = prediction.output[np.arange(rows), best]
    return {
        LABEL: InferOutput(LABEL, label_type(servable), (rows,), labels),
        SCORE: InferOutput(SCORE, answer_type(servable), (rows,), scores),
    }


def _requested_outputs(servable: Servable, wire: InferRequest) -> dict[str, bool]:
    classes = (LABEL, SCORE) if servable.labels else ()
    known = (servable.output.name, *classes, PREDICTION_ID)
    if wire.outputs is None:
        return dict.fromkeys(known, wire.binary_by_default)
    for name in wire.outputs:
        if name not in known:
            raise InvalidRequest(
                f"unknown output {name[:80]!r}",
                field=name[:80],
                expected=f"one of {', '.join(known)}",
                status=400,
            )
    return wire.outputs


def _head_length(request: Request) -> int | None:
    value = request.header(_BINARY_HEADER)
    if not value:
        return None
    # Python refuses to read thousands of digits.
    if not value.isdigit() or len(value) > 20:
        raise InvalidRequest(
            "Inference-Header-Content-Length is not a number",
            field="Inference-Header-Content-Length",
            expected="the length of the JSON head in bytes",
            status=400,
        )
    return int(value)


def _is_version(servable: Servable, name: str) -> bool:
    return not name or servable.version == name or (len(name) >= SHORT and servable.version.startswith(name))


def _check_model(servable: Servable, wire: InferRequest) -> None:
    """A body may name its model as well; then it has to be the model of the path."""
    if wire.model_name not in (None, servable.model):
        raise InvalidRequest(
            f"`model_name` is {wire.model_name[:80]!r}, but the path names model {servable.model}",
            field="model_name",
            expected="the model of the path, or leave it out",
            status=400,
        )
    _check_version(servable, wire.model_version or "")


def _check_version(servable: Servable, name: str) -> None:
    if not _is_version(servable, name):
        raise NotFound(
            f"version {name[:64]!r} of model {servable.model} is not loaded",
            hint=f"the live version is {servable.version} (generation {servable.generation})",
        )
