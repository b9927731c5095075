"""The Open Inference Protocol v2: metadata, health and `infer`, for clients such as tritonclient and KServe's."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from services.inference.answers import Answer, json_answer
from services.inference.doors.request import Request
from services.inference.metrics import InferenceMetrics
from services.inference.moments import parse_moment
from services.inference.predictor import Prediction, Predictor
from services.inference.servable import Servable
from services.inference.slot import Slots
from services.inference.status import Status
from services.inference.tensors import WireOutput, WireRequest, WireTensor, read_request, write_response
from services.inference.validation import Batch
from shared.contracts.loop_spec import Feature
from shared.contracts.manifest import SHORT
from shared.errors import InvalidRequest, UnknownName

Door = Callable[[Request], Awaitable[Answer]]

PREDICTION_ID = "prediction_id"
_KNOWN_PATHS = 512

_DATATYPES = {"number": "FP32", "integer": "INT64", "boolean": "BOOL", "category": "BYTES", "tensor": "FP32"}
_ACCEPTED = {
    "number": frozenset(
        {"FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32"}
    ),
    "integer": frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32"}),
    "boolean": frozenset({"BOOL"}),
    "category": frozenset({"BYTES"}),
    "tensor": frozenset({"FP16", "FP32", "FP64"}),
}
_BINARY_HEADER = b"inference-header-content-length"


class OpenInferenceDoor:
    """Answers everything below `/v2`."""

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
        # The door for a path below `/v2`, or None where there is none; callers use the same few paths again and again.
        self.find = lru_cache(maxsize=_KNOWN_PATHS)(self._find)

    def _find(self, method: str, path: str) -> Door | None:
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

    async def _server(self, request: Request) -> Answer:
        return json_answer(
            {"name": "homeostat", "version": _own_version(), "extensions": ["binary_tensor_data"]}
        )

    async def _live(self, request: Request) -> Answer:
        return json_answer({"live": True})

    async def _ready(self, request: Request) -> Answer:
        ready = self._status.ready()
        return json_answer({"ready": ready, "live": True}, 200 if ready else 503)

    def _model_ready(self, model: str, name: str) -> Door:
        async def door(request: Request) -> Answer:
            servable = self._slots.peek(model)
            ready = servable is not None and _is_version(servable, name)
            return json_answer({"name": model, "ready": ready}, 200 if ready else 404)

        return door

    def _about(self, model: str, name: str) -> Door:
        async def door(request: Request) -> Answer:
            servable = self._slots.take(model)
            try:
                _check_version(servable, name)
                return json_answer(describe(servable))
            finally:
                self._slots.give_back(servable)

        return door

    def _infer(self, model: str, name: str) -> Door:
        async def door(request: Request) -> Answer:
            start = time.perf_counter()
            servable = request.held = self._slots.take(model)
            try:
                _check_version(servable, name)
                wire = read_request(request.body, _head_length(request))
                event_time = parse_moment(
                    wire.parameters.get("event_time"), field="event_time", default=datetime.now(UTC)
                )
                batch = self._batch(servable, wire)
                asked = _asked(servable, wire)
                prediction = await self._predictor.predict(
                    servable, batch, event_time=event_time, traceparent=request.traceparent()
                )
                answer = _answer(servable, wire, asked, prediction)
                self._metrics.answered(servable, batch.rows, time.perf_counter() - start)
                return answer
            finally:
                self._slots.give_back(servable)

        return door

    def _batch(self, servable: Servable, wire: WireRequest) -> Batch:
        features = servable.schema.features
        unknown = wire.inputs.keys() - {feature.name for feature in features}
        if unknown:
            name = sorted(unknown)[0]
            raise InvalidRequest(
                f"unknown input {name[:80]!r}",
                field=name[:80],
                expected=f"only {', '.join(feature.name for feature in features)}",
            )
        rows = next(iter(wire.inputs.values())).shape[0]
        if not 1 <= rows <= self._maximum_rows:
            raise InvalidRequest(
                f"the inputs have {rows} rows",
                field="inputs",
                expected=f"from 1 to {self._maximum_rows} rows",
                status=413 if rows else 400,
            )
        return servable.schema.batch_of_tensors(
            {feature.name: _values(feature, wire, rows) for feature in features}, rows
        )


def _own_version() -> str:
    try:
        return version("homeostat")
    except PackageNotFoundError:  # run from a checkout
        return "unpackaged"


def describe(servable: Servable) -> dict[str, Any]:
    """Model metadata: what goes in, what comes out; -1 is the row axis."""
    output = servable.output
    inputs = [
        {
            "name": feature.name,
            "datatype": _DATATYPES[feature.type],
            "shape": [-1, *feature.shape],
            "parameters": _allowed(feature),
        }
        for feature in servable.schema.features
    ]
    shape = (
        [-1] if servable.scores else [-1, *(axis if axis is not None else -1 for axis in output.shape[1:])]
    )
    return {
        "name": servable.model,
        "versions": [servable.version],
        "platform": "onnxruntime_onnx",
        "inputs": inputs,
        "outputs": [
            {"name": output.name, "datatype": _output_type(output.kind), "shape": shape},
            {"name": PREDICTION_ID, "datatype": "BYTES", "shape": [-1]},
        ],
    }


def _allowed(feature: Feature) -> dict[str, Any]:
    """What the manifest says of a feature, in the protocol's plain parameters."""
    said: dict[str, Any] = {"type": feature.type, "nullable": feature.nullable}
    if feature.values:
        said["values"] = "\n".join(feature.values)
    if feature.minimum is not None:
        said["minimum"] = feature.minimum
    if feature.maximum is not None:
        said["maximum"] = feature.maximum
    return said


def _answer(servable: Servable, wire: WireRequest, asked: dict[str, bool], prediction: Prediction) -> Answer:
    rows = len(prediction.prediction_ids)
    output = prediction.output
    found = {
        servable.output.name: WireOutput(
            servable.output.name, _output_type(servable.output.kind), output.shape, output
        ),
        PREDICTION_ID: WireOutput(PREDICTION_ID, "BYTES", (rows,), prediction.prediction_ids),
    }
    parameters: dict[str, Any] = {"generation": servable.generation}
    if PREDICTION_ID not in asked:
        # A caller who filters the ids away still learns which predictions these were.
        parameters[PREDICTION_ID] = ",".join(prediction.prediction_ids)
    head: dict[str, Any] = {
        "model_name": servable.model,
        "model_version": servable.version,
        "parameters": parameters,
    }
    if wire.id is not None:
        head["id"] = wire.id
    body, head_length = write_response(head, [(found[name], binary) for name, binary in asked.items()])
    if head_length is None:
        return Answer(200, body)
    headers = ((b"content-type", b"application/octet-stream"), (_BINARY_HEADER, b"%d" % head_length))
    return Answer(200, body, headers)


def _asked(servable: Servable, wire: WireRequest) -> dict[str, bool]:
    known = (servable.output.name, PREDICTION_ID)
    if wire.outputs is None:
        return dict.fromkeys(known, wire.binary_by_default)
    for name in wire.outputs:
        if name not in known:
            raise InvalidRequest(
                f"unknown output {name[:80]!r}",
                field=name[:80],
                expected=f"of {', '.join(known)}",
                status=400,
            )
    return wire.outputs


def _values(feature: Feature, wire: WireRequest, rows: int) -> npt.NDArray[Any] | list[Any]:
    tensor = wire.inputs.get(feature.name)
    if tensor is None:
        if feature.nullable:
            return [None] * rows
        raise InvalidRequest(
            f"input {feature.name} is missing", field=feature.name, expected=f"a tensor of {rows} rows"
        )
    _check_form(feature, tensor, rows)
    if feature.type != "tensor":
        if (
            isinstance(tensor.values, list)
            and tensor.datatype not in ("BYTES", "BOOL")
            and wire.may_hold_booleans
            and bool in set(map(type, tensor.values))
        ):
            raise InvalidRequest(
                f"input {feature.name} holds true or false", field=feature.name, expected=tensor.datatype
            )
        return tensor.values
    if isinstance(tensor.values, list):
        try:
            array = np.array(tensor.values)
        except (ValueError, OverflowError):
            array = np.array([None])
        holds_boolean = wire.may_hold_booleans and bool in set(map(type, tensor.values))
        if array.dtype.kind not in "if" or holds_boolean:
            raise InvalidRequest(
                f"input {feature.name} holds something that is no number",
                field=feature.name,
                expected="numbers",
            )
        return array.reshape(tensor.shape)
    return tensor.values.reshape(tensor.shape)


def _check_form(feature: Feature, tensor: WireTensor, rows: int) -> None:
    if tensor.datatype not in _ACCEPTED[feature.type]:
        raise InvalidRequest(
            f"input {feature.name} is {tensor.datatype}",
            field=feature.name,
            expected=f"{_DATATYPES[feature.type]} for a {feature.type}",
        )
    shapes = [(rows, *feature.shape)] if feature.type == "tensor" else [(rows,), (rows, 1)]
    if tensor.shape not in shapes:
        raise InvalidRequest(
            f"input {feature.name} has the shape {list(tensor.shape)}",
            field=feature.name,
            expected=f"the shape {' or '.join(str(list(shape)) for shape in shapes)}",
        )


def _head_length(request: Request) -> int | None:
    value = request.header(_BINARY_HEADER)
    if not value:
        return None
    if not value.isdigit():
        raise InvalidRequest(
            "Inference-Header-Content-Length is no number",
            field="Inference-Header-Content-Length",
            expected="the length of the JSON head in bytes",
            status=400,
        )
    return int(value)


def _output_type(kind: str) -> str:
    return "FP64" if kind == "tensor(double)" else "FP32"


def _is_version(servable: Servable, name: str) -> bool:
    return not name or servable.version == name or (len(name) >= SHORT and servable.version.startswith(name))


def _check_version(servable: Servable, name: str) -> None:
    if not _is_version(servable, name):
        raise UnknownName(
            f"version {name[:64]!r} of {servable.model} is not served",
            remedy=f"served is {servable.version} (generation {servable.generation})",
        )
