"""Infer requests that differ from an earlier one in their numbers only.

What surrounds the numbers is known again by its bytes. The ordinary path's functions read it once, so its meaning is theirs.
For JSON it is proven once that the numbers are the `data` of the only input: with others in their place only `data` changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import orjson

from services.inference.fast_path.number_array import Floats, NumberArrays, read_binary
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.open_inference.codec import InferRequest, RequestedOutput
from services.inference.open_inference.features import PREDICTION_ID, answer_type
from services.inference.open_inference.handlers import respond
from services.inference.prediction.call import Prediction

_FLOAT_BYTES = 4
# Numbers of these datatypes are not checked against a range that float32 does not have.
_JSON_DATATYPES = ("FP32", "FP64")


@dataclass(frozen=True, slots=True)
class Reply:
    """Body of a 200, and the header lines that describe it."""

    body: bytes
    headers: bytes = b"content-type: application/json\r\n"


class InferPlan:
    """How to read and answer requests whose surroundings are known."""

    def __init__(self, servable: Servable, wire: InferRequest, requested: dict[str, RequestedOutput]) -> None:
        self._servable = servable
        self._wire = wire
        self._requested = requested
        (tensor,) = wire.inputs.values()
        self._name = tensor.name
        self._shape = tensor.shape
        self._count = math.prod(tensor.shape)
        self._start = self._middle = self._shape_text = b""
        if _is_plain(servable, requested):
            head: dict[str, Any] = {
                "model_name": servable.model,
                "model_version": servable.version,
                "parameters": {"generation": servable.generation},
            }
            if wire.id is not None:
                head["id"] = wire.id
            self._start = b'%b,"outputs":[{"name":%b,"datatype":"%b","shape":' % (
                orjson.dumps(head)[:-1],
                orjson.dumps(servable.output.name),
                answer_type(servable).encode(),
            )
            self._middle = b'},{"name":"%b","datatype":"BYTES","shape":[' % PREDICTION_ID.encode()

    @property
    def rows(self) -> int:
        """Rows of each request."""
        return self._shape[0]

    def read_json(self, text: bytes, numbers: NumberArrays) -> Batch | None:
        """The rows whose numbers are the array `text`; None: read them the ordinary way."""
        return self._batch(numbers.read(text, self._count))

    def read_binary(self, raw: bytes, start: int, end: int) -> Batch | None:
        """The rows whose numbers are float32 from `start` to `end`; None: read them the ordinary way."""
        if end - start != _FLOAT_BYTES * self._count:
            return None
        return self._batch(read_binary(raw, start, self._count))

    def reply(self, prediction: Prediction) -> Reply:
        """The ordinary path's reply."""
        if not self._start:
            return write_reply(self._servable, self._wire, self._requested, prediction)
        output = prediction.output
        if not self._shape_text:  # the same for every request of a plan
            self._shape_text = orjson.dumps(output.shape)
        return Reply(
            b'%b%b,"data":%b%b%d],"data":[%b]}]}'
            % (
                self._start,
                self._shape_text,
                orjson.dumps(output.reshape(-1), option=orjson.OPT_SERIALIZE_NUMPY),
                self._middle,
                len(output),
                prediction.prediction_ids.text,
            )
        )

    def _batch(self, floats: Floats | None) -> Batch | None:
        if floats is None:
            return None
        tensor = {self._name: floats.reshape(self._shape)}
        return Batch(self._shape[0], tensor, tensor)


def plan_json(
    servable: Servable,
    wire: InferRequest,
    requested: dict[str, RequestedOutput],
    before: bytes,
    after: bytes,
) -> InferPlan | None:
    """The plan for requests of JSON that have `before` and `after` around their numbers; None if there can be none."""
    if (
        not _has_one_tensor(servable, wire)
        or next(iter(wire.inputs.values())).datatype not in _JSON_DATATYPES
    ):
        return None
    for text, numbers in ((b"[1]", [1]), (b"[2,3]", [2, 3])):
        document = orjson.loads(before + text + after)
        if len(document["inputs"]) != 1 or document["inputs"][0].get("data") != numbers:
            return None
    return InferPlan(servable, wire, requested)


def plan_binary(
    servable: Servable, wire: InferRequest, requested: dict[str, RequestedOutput], tail_bytes: int
) -> InferPlan | None:
    """The plan for requests with this JSON head and one binary tensor; None if there can be none."""
    if not _has_one_tensor(servable, wire):
        return None
    (tensor,) = wire.inputs.values()
    is_binary = not isinstance(tensor.values, list) and tail_bytes == _FLOAT_BYTES * math.prod(tensor.shape)
    return InferPlan(servable, wire, requested) if is_binary and tensor.datatype == "FP32" else None


def write_reply(
    servable: Servable, wire: InferRequest, requested: dict[str, RequestedOutput], prediction: Prediction
) -> Reply:
    """The ordinary path's reply to any infer request."""
    response = respond(servable, wire, requested, prediction)
    return Reply(response.body, b"".join(b"%b: %b\r\n" % header for header in response.headers))


def _has_one_tensor(servable: Servable, wire: InferRequest) -> bool:
    """A time is checked against the clock at each request, so it is no part of a plan."""
    features = servable.schema.features
    return (
        len(features) == len(wire.inputs) == 1
        and features[0].type == "tensor"
        and "event_time" not in wire.parameters
    )


def _is_plain(servable: Servable, requested: dict[str, RequestedOutput]) -> bool:
    return list(requested) == [servable.output.name, PREDICTION_ID] and not any(
        one.binary or one.classes for one in requested.values()
    )
