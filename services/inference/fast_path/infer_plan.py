"""Infer requests that differ from an earlier one in their numbers only.

What surrounds the numbers is known again by its bytes. The ordinary path's functions read it once, so its meaning is theirs.
For JSON it is proven once that the numbers are the `data` of the only input: with others in their place only `data` changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import orjson

from services.inference.fast_path.number_array import MAX_BYTES_AT_ONCE, Floats, NumberArrays, read_binary
from services.inference.fast_path.reply import Reply
from services.inference.fast_path.request_groups import Asked
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.open_inference.codec import InferRequest, RequestedOutput
from services.inference.open_inference.features import PREDICTION_ID, answer_type
from services.inference.open_inference.handlers import respond
from services.inference.prediction.call import Prediction
from shared.repeated_names import repeats_a_name

_FLOAT_BYTES = 4
# Numbers of these datatypes are not checked against a range that float32 does not have.
_JSON_DATATYPES = ("FP32", "FP64")


class InferPlan:
    """How to read and answer requests that have `before` and `after` around their numbers.

    `head_bytes`: of the JSON before binary tensors; None: JSON only.
    """

    def __init__(
        self,
        servable: Servable,
        wire: InferRequest,
        requested: dict[str, RequestedOutput],
        around: tuple[bytes, bytes],
        head_bytes: int | None,
    ) -> None:
        self.servable = servable
        self.before, self.after = around
        self.head_bytes = head_bytes
        self.path = f"/v2/models/{servable.model}/infer"
        self.is_text = head_bytes is None
        self._wire = wire
        self._requested = requested
        (tensor,) = wire.inputs.values()
        self._name = tensor.name
        self._rows: int = tensor.shape[0]
        self._row_shape = tensor.shape[1:]
        self._count = math.prod(tensor.shape)
        self._start = self._middle = b""
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
            self._middle = b']},{"name":"%b","datatype":"BYTES","shape":[%d],"data":[' % (
                PREDICTION_ID.encode(),
                self._rows,
            )
        self._shape: tuple[int, ...] = ()
        self._shaped = b""

    def fits(self, raw: bytes, start: int, end: int, head_bytes: int | None) -> bool:
        """Whether the body `raw[start:end]` begins and ends as known, and has room for something in between."""
        return (
            head_bytes == self.head_bytes
            and raw.startswith(self.before, start)
            and raw.endswith(self.after, start + len(self.before), end)
        )

    def rows(self, raw: bytes, first: int, last: int) -> int:
        """Rows of each request."""
        return self._rows

    def read(self, requests: Sequence[Asked], numbers: NumberArrays) -> list[Batch] | None:
        """The rows of the requests, in one batch or one each; None: one of them has to be read the ordinary way."""
        together = sum(one.last - one.first for one in requests) <= MAX_BYTES_AT_ONCE
        if len(requests) > 1 and self.head_bytes is None and together:
            found = [numbers.read_rows([one.raw[one.first : one.last] for one in requests], self._count)]
        else:
            found = [self._read_alone(one.raw, one.first, one.last, numbers) for one in requests]
        batches = []
        for floats in found:
            if floats is None:
                return None
            array = floats.reshape(-1, *self._row_shape)
            tensor = {self._name: array}
            batches.append(Batch(len(array), tensor, tensor))
        return batches

    def _read_alone(self, raw: bytes, first: int, last: int, numbers: NumberArrays) -> Floats | None:
        if self.head_bytes is not None:
            return (
                read_binary(raw, first, self._count) if last - first == _FLOAT_BYTES * self._count else None
            )
        # Nested arrays would be read as one.
        if raw.find(b"]", first, last) >= 0:
            return None
        return numbers.read(memoryview(raw)[first - 1 : last + 1], self._count)

    def replies(self, prediction: Prediction, sizes: Sequence[int]) -> list[Reply]:
        """The ordinary path's replies."""
        if not self._start:
            return [
                write_reply(self.servable, self._wire, self._requested, one)
                for one in prediction.split(sizes)
            ]
        output = prediction.output
        if self._shape != output.shape[1:] or not self._shaped:  # the same for every request of a plan
            self._shape = output.shape[1:]
            self._shaped = b'%b%b,"data":[' % (self._start, orjson.dumps((self._rows, *self._shape)))
        start, middle = self._shaped, self._middle
        numbers = orjson.dumps(output.reshape(len(sizes), -1), option=orjson.OPT_SERIALIZE_NUMPY)
        ids = prediction.prediction_ids.texts(sizes)
        return [
            Reply(b"%b%b%b%b]}]}" % (start, text, middle, identities))
            for text, identities in zip(numbers[2:-2].split(b"],["), ids, strict=True)
        ]


def plan_json(
    servable: Servable,
    wire: InferRequest,
    requested: dict[str, RequestedOutput],
    around: tuple[bytes, bytes],
) -> InferPlan | None:
    """The plan for requests of JSON that have these bytes before and after their numbers; None if there can be none."""
    if (
        not _has_one_tensor(servable, wire)
        or next(iter(wire.inputs.values())).datatype not in _JSON_DATATYPES
    ):
        return None
    for text, numbers in ((b"1", [1]), (b"2,3", [2, 3])):
        body = text.join(around)
        document = orjson.loads(body)
        if len(document["inputs"]) != 1 or document["inputs"][0].get("data") != numbers:
            return None
        if repeats_a_name(body, document):
            return None
    return InferPlan(servable, wire, requested, around, None)


def plan_binary(
    servable: Servable,
    wire: InferRequest,
    requested: dict[str, RequestedOutput],
    head: bytes,
    tail_bytes: int,
) -> InferPlan | None:
    """The plan for requests with this JSON head and one binary tensor; None if there can be none."""
    if not _has_one_tensor(servable, wire):
        return None
    (tensor,) = wire.inputs.values()
    is_binary = not isinstance(tensor.values, list) and tail_bytes == _FLOAT_BYTES * math.prod(tensor.shape)
    if not is_binary or tensor.datatype != "FP32":
        return None
    return InferPlan(servable, wire, requested, (head, b""), len(head))


def write_reply(
    servable: Servable, wire: InferRequest, requested: dict[str, RequestedOutput], prediction: Prediction
) -> Reply:
    """The ordinary path's reply to any infer request."""
    response = respond(servable, wire, requested, prediction)
    return Reply(response.body, b"".join(b"%b: %b\r\n" % header for header in response.headers))


def _has_one_tensor(servable: Servable, wire: InferRequest) -> bool:
    """A time is checked against the clock at each request, and a key is logged with its rows: neither is part of a plan."""
    features = servable.schema.features
    return (
        len(features) == len(wire.inputs) == 1
        and features[0].type == "tensor"
        and wire.parameters.keys().isdisjoint({"event_time", "key"})
    )


def _is_plain(servable: Servable, requested: dict[str, RequestedOutput]) -> bool:
    return list(requested) == [servable.output.name, PREDICTION_ID] and not any(
        one.binary or one.classes for one in requested.values()
    )
