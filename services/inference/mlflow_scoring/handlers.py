"""MLflow's scoring protocol, for clients of `mlflow models serve` and of MLflow's deployments."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from services.inference.http.error_bodies import in_form_of
from services.inference.http.own_version import own_version
from services.inference.http.request import Request
from services.inference.http.response import JSON, Response, from_error
from services.inference.http.routing_key import parse_key
from services.inference.http.timestamps import parse_given_timestamp
from services.inference.metrics import InferenceMetrics
from services.inference.mlflow_scoring.csv_rows import read_csv
from services.inference.mlflow_scoring.json_rows import Invocation, Row, read_invocation, rows_of
from services.inference.models.servable import Servable
from services.inference.models.slot import WHEN_LOADED
from services.inference.on_demand.model_pool import ModelPool
from services.inference.prediction.call import Prediction
from services.inference.prediction.class_scores import scores_by_label
from services.inference.prediction.predictor import Predictor
from services.inference.rollout.canary import CanaryAnswers
from services.inference.status.report import Status
from shared.contracts.prediction_id import IdBlock
from shared.errors import InvalidRequest
from shared.http.errors import ErrorResponse

Handler = Callable[[Request], Awaitable[Response]]

_CSV, _JSON = "text/csv", "application/json"


class MlflowHandler:
    """Handles `/invocations`, `/ping`, `/health`, `/version` and the path of MLflow's deployments client."""

    def __init__(
        self,
        models: ModelPool,
        predictor: Predictor,
        canaries: CanaryAnswers,
        metrics: InferenceMetrics,
        status: Status,
        *,
        maximum_rows: int,
    ) -> None:
        self._models = models
        self._predictor = predictor
        self._canaries = canaries
        self._metrics = metrics
        self._status = status
        self._maximum_rows = maximum_rows

    def find(self, method: str, path: str) -> Handler | None:
        """The handler for a path that names a model, or None."""
        match (method, *path.split("/")[1:]):
            case ("POST", "endpoints", model, "invocations"):
                return lambda request: self._predict(request, model)
        return None

    async def invocations(self, request: Request) -> Response:
        """MLflow's scoring protocol: a data frame, instances, inputs or CSV in, predictions out."""
        return await self._predict(request, None)

    async def ping(self, request: Request) -> Response:
        """200 if at least one model is loaded, 503 if not, for MLflow's clients."""
        if self._status.ready():
            return Response(200, b"\n")
        document = {"error": "no model is loaded yet", "hint": WHEN_LOADED}
        return from_error(in_form_of(request.path, ErrorResponse(503, document)))

    async def version(self, request: Request) -> Response:
        """The version of Homeostat, for MLflow's clients."""
        return Response(200, own_version().encode(), ((b"content-type", b"text/plain"),))

    async def _predict(self, request: Request, model: str | None) -> Response:
        start = time.perf_counter()
        kind = _content_type(request)
        invocation = read_invocation(request.body) if kind == _JSON else Invocation("csv", None, None, None)
        if model is not None and invocation.model not in (None, model):
            raise InvalidRequest(
                f"`model` is {invocation.model!r}, but the path names model {model[:80]}",
                field="model",
                expected="the model of the path, or no `model`",
                status=400,
            )
        live = request.servable = await self._acquire(invocation.model if model is None else model)
        try:
            event_time = parse_given_timestamp(invocation.event_time, field="event_time")
            key = parse_key(invocation.key)

            async def attempt(
                servable: Servable, first_id: IdBlock | None
            ) -> tuple[Servable, Prediction, int]:
                features = servable.schema.features
                rows = rows_of(invocation, features) if kind == _JSON else read_csv(request.body, features)
                self._check_count(rows, invocation.form)
                batch = servable.schema.batch(rows)
                prediction = await self._predictor.predict(
                    servable,
                    batch,
                    event_time=event_time,
                    traceparent=request.traceparent(),
                    first_id=first_id,
                    key=key,
                )
                return servable, prediction, batch.rows

            servable, prediction, count = await self._canaries.answer(live, key, attempt)
            response = _respond(servable, prediction)
            self._metrics.answered(servable, count, time.perf_counter() - start)
            return response
        finally:
            self._models.release(live)

    async def _acquire(self, model: str | None) -> Servable:
        try:
            return await self._models.acquire(model)
        except InvalidRequest as error:
            error.hint = "name it as `model` in `params`, or post to /endpoints/{model}/invocations"
            raise

    def _check_count(self, rows: list[Row], form: str) -> None:
        if not 1 <= len(rows) <= self._maximum_rows:
            raise InvalidRequest(
                f"`{form}` has {len(rows)} rows",
                field=form,
                expected=f"from 1 to {self._maximum_rows} rows",
                status=413 if rows else 400,
            )


def _content_type(request: Request) -> str:
    kind, _, rest = request.header(b"content-type").decode("latin-1").partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    kind = kind.strip().lower()
    if kind not in (_JSON, _CSV) or charset not in ("", "utf-8", "utf8"):
        given = request.header(b"content-type").decode("latin-1")[:80]
        raise InvalidRequest(
            f"Content-Type is {given or 'missing'}",
            field="Content-Type",
            expected=f"{_JSON} or {_CSV}, in UTF-8",
            status=415,
        )
    return kind


def _respond(servable: Servable, prediction: Prediction) -> Response:
    document = {
        "predictions": _predictions(servable, prediction),
        "prediction_ids": list(prediction.prediction_ids),
        "model": servable.model,
        "version": servable.version,
        "generation": servable.generation,
    }
    if servable.release.slot != "live":
        document["slot"] = servable.release.slot
    return Response(200, orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), (JSON,))


def _predictions(servable: Servable, prediction: Prediction) -> Any:
    """One entry per row: the score, an object for classes and values, or nested lists."""
    if prediction.classes is not None:
        labels = servable.labels.values
        return [
            {"label": labels[place], "score": row[place], "scores": scores}
            for place, row, scores in zip(
                prediction.classes.tolist(),
                prediction.output.tolist(),
                scores_by_label(prediction.output, servable.labels),
                strict=True,
            )
        ]
    if prediction.scores is not None:
        return prediction.scores
    if servable.names:
        return [dict(zip(servable.names, row, strict=True)) for row in prediction.output.tolist()]
    return prediction.output
