"""The Open Inference Protocol v2 for clients such as tritonclient and KServe's: routes, health and `infer`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from services.inference.http.own_version import own_version
from services.inference.http.request import Request
from services.inference.http.response import Response, json_response
from services.inference.http.routing_key import parse_key
from services.inference.http.timestamps import parse_given_timestamp
from services.inference.metrics import InferenceMetrics
from services.inference.models.servable import Servable
from services.inference.on_demand.model_pool import ModelPool
from services.inference.open_inference.codec import (
    InferRequest,
    RequestedOutput,
    read_request,
    write_response,
)
from services.inference.open_inference.features import PREDICTION_ID, read_batch
from services.inference.open_inference.model_routes import ModelRoutes
from services.inference.open_inference.outputs import predicted_outputs, requested_outputs
from services.inference.open_inference.repository import RepositoryRoutes
from services.inference.open_inference.versions import check_named_model, check_version
from services.inference.prediction.call import Prediction
from services.inference.prediction.predictor import Predictor
from services.inference.rollout.canary import CanaryAnswers
from services.inference.status.report import Status
from shared.contracts.prediction_id import IdBlock
from shared.errors import InvalidRequest

Handler = Callable[[Request], Awaitable[Response]]
_Answer = tuple[Servable, dict[str, RequestedOutput], Prediction, int]

_KNOWN_PATHS = 512

_BINARY_HEADER = b"inference-header-content-length"
# What Triton calls the parts beyond the protocol itself.
EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics")


class OpenInferenceHandler:
    """Handles all routes below `/v2`."""

    def __init__(
        self,
        pool: ModelPool,
        predictor: Predictor,
        canaries: CanaryAnswers,
        metrics: InferenceMetrics,
        status: Status,
        *,
        maximum_rows: int,
    ) -> None:
        self._pool = pool
        self._predictor = predictor
        self._canaries = canaries
        self._metrics = metrics
        self._status = status
        self._maximum_rows = maximum_rows
        self._models = ModelRoutes(pool, metrics, maximum_rows=maximum_rows)
        self._repository = RepositoryRoutes(status)
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
            case ("GET", "models", "stats"):
                return self._models.all_statistics
            case ("GET", "models", model):
                return self._models.metadata(model, "")
            case ("GET", "models", model, "ready"):
                return self._models.ready(model, "")
            case ("GET", "models", model, "config"):
                return self._models.config(model, "")
            case ("GET", "models", model, "stats"):
                return self._models.statistics(model, "")
            case ("POST", "models", model, "infer"):
                return self._infer(model, "")
            case ("GET", "models", model, "versions", name):
                return self._models.metadata(model, name)
            case ("GET", "models", model, "versions", name, "ready"):
                return self._models.ready(model, name)
            case ("GET", "models", model, "versions", name, "config"):
                return self._models.config(model, name)
            case ("GET", "models", model, "versions", name, "stats"):
                return self._models.statistics(model, name)
            case ("POST", "models", model, "versions", name, "infer"):
                return self._infer(model, name)
            case ("POST", "repository", "index"):
                return self._repository.index
            case ("POST", "repository", "models", _, "load"):
                return self._repository.refuse_load
            case ("POST", "repository", "models", _, "unload"):
                return self._repository.refuse_load
        return None

    async def _server(self, request: Request) -> Response:
        return json_response({"name": "homeostat", "version": own_version(), "extensions": EXTENSIONS})

    async def _live(self, request: Request) -> Response:
        return json_response({"live": True})

    async def _ready(self, request: Request) -> Response:
        ready = self._status.ready()
        return json_response({"ready": ready, "live": True}, 200 if ready else 503)

    def _infer(self, model: str, name: str) -> Handler:
        async def handler(request: Request) -> Response:
            start = time.perf_counter()
            live = request.servable = await self._pool.acquire(model)
            try:
                check_version(live, name)
                wire = read_request(request.body, _head_length(request))
                check_named_model(live, wire)
                event_time = parse_given_timestamp(wire.parameters.get("event_time"), field="event_time")
                key = parse_key(wire.parameters.get("key"))

                async def attempt(servable: Servable, first_id: IdBlock | None) -> _Answer:
                    batch = read_batch(servable, wire, maximum_rows=self._maximum_rows)
                    outputs = requested_outputs(servable, wire)
                    prediction = await self._predictor.predict(
                        servable,
                        batch,
                        event_time=event_time,
                        traceparent=request.traceparent(),
                        first_id=first_id,
                        key=key,
                    )
                    return servable, outputs, prediction, batch.rows

                # A request that names its version gets that version.
                names_version = bool(name or wire.model_version)
                servable, outputs, prediction, rows = await (
                    attempt(live, None) if names_version else self._canaries.answer(live, key, attempt)
                )
                response = respond(servable, wire, outputs, prediction)
                self._metrics.answered(servable, rows, time.perf_counter() - start)
                return response
            finally:
                self._pool.release(live)

        return handler


def respond(
    servable: Servable, wire: InferRequest, requested: dict[str, RequestedOutput], prediction: Prediction
) -> Response:
    """The response to an infer request."""
    parameters: dict[str, Any] = {"generation": servable.generation}
    if servable.release.slot != "live":
        parameters["slot"] = servable.release.slot
    if PREDICTION_ID not in requested:
        # A client that leaves the ids out of the outputs still gets them as a parameter.
        parameters[PREDICTION_ID] = ",".join(prediction.prediction_ids)
    head: dict[str, Any] = {
        "model_name": servable.model,
        "model_version": servable.version,
        "parameters": parameters,
    }
    if wire.id is not None:
        head["id"] = wire.id
    body, head_length = write_response(head, predicted_outputs(servable, requested, prediction))
    if head_length is None:
        return Response(200, body)
    headers = ((b"content-type", b"application/octet-stream"), (_BINARY_HEADER, b"%d" % head_length))
    return Response(200, body, headers)


def _head_length(request: Request) -> int | None:
    value = request.header(_BINARY_HEADER)
    if not value:
        return None
    # Python refuses to read thousands of digits.
    if not value.isdigit() or len(value) > 20:
        raise InvalidRequest(
            "Inference-Header-Content-Length is not a number",
            field="Inference-Header-Content-Length",
            expected="the length of the JSON in bytes",
            status=400,
        )
    return int(value)
