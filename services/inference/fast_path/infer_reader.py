"""Reads bodies of infer requests: with the ordinary path's functions, or by a plan made from what they read before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from services.inference.fast_path.infer_plan import InferPlan, Reply, plan_binary, plan_json, write_reply
from services.inference.fast_path.number_array import NumberArrays
from services.inference.http.timestamps import parse_given_timestamp
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.open_inference.codec import read_request
from services.inference.open_inference.features import read_batch
from services.inference.open_inference.outputs import requested_outputs
from services.inference.open_inference.versions import check_named_model
from services.inference.prediction.call import Prediction

_MAX_PLANS = 256
_MAX_SURROUNDINGS = 2048

Write = Callable[[Prediction], Reply]


class InferBody(NamedTuple):
    """Checked rows, and how their answer is written."""

    batch: Batch
    write: Write
    event_time: datetime | None = None


class InferReader:
    """Reads the bodies of all connections; not for several threads."""

    def __init__(self, numbers: NumberArrays, *, maximum_rows: int) -> None:
        self._numbers = numbers
        self._maximum_rows = maximum_rows
        self._plans: dict[str, tuple[Servable, dict[tuple[bytes, bytes], InferPlan]]] = {}

    def read(self, servable: Servable, raw: bytes, start: int, end: int, head_bytes: int | None) -> InferBody:
        """The request in `raw[start:end]`. `head_bytes`: length of the JSON before binary tensors; None: JSON only.

        Raises what the ordinary path raises.
        """
        if head_bytes is None:
            return self._read_json(servable, raw, start, end)
        return self._read_binary(servable, raw, start, end, head_bytes)

    def forget(self, model: str) -> None:
        """Let go of what belongs to a model that is no longer loaded."""
        self._plans.pop(model, None)

    def _known(self, servable: Servable) -> dict[tuple[bytes, bytes], InferPlan]:
        found = self._plans.get(servable.model)
        if found is None or found[0] is not servable:
            found = self._plans[servable.model] = (servable, {})
        plans = found[1]
        if len(plans) >= _MAX_PLANS:
            plans.clear()
        return plans

    def _read_json(self, servable: Servable, raw: bytes, start: int, end: int) -> InferBody:
        data = raw.find(b'"data"', start, end)
        opening = raw.find(b"[", data, end) if data > 0 else -1
        closing = raw.find(b"]", opening, end) + 1 if opening > 0 else 0
        may_be_known = closing > 0 and opening - start + end - closing <= _MAX_SURROUNDINGS
        plans = self._known(servable)
        surroundings = (bytes(raw[start:opening]), bytes(raw[closing:end])) if may_be_known else (b"", b"")
        plan = plans.get(surroundings) if may_be_known else None
        if plan is not None:
            batch = plan.read_json(raw[opening:closing], self._numbers)
            if batch is not None:
                return InferBody(batch, plan.reply)
        wire, requested, batch = self._read(servable, bytes(raw[start:end]), None)
        if plan is None and may_be_known:
            plan = plan_json(servable, wire, requested, *surroundings)
            if plan is not None:
                plans[surroundings] = plan
        return self._ordinarily(servable, wire, requested, batch)

    def _read_binary(
        self, servable: Servable, raw: bytes, start: int, end: int, head_bytes: int
    ) -> InferBody:
        tail = start + head_bytes
        plans = self._known(servable)
        # An empty head is none, so it is no key of JSON requests either.
        may_be_known = 0 < head_bytes <= _MAX_SURROUNDINGS and tail <= end
        surroundings = (bytes(raw[start:tail]), b"binary") if may_be_known else (b"", b"")
        plan = plans.get(surroundings) if may_be_known else None
        if plan is not None:
            batch = plan.read_binary(raw, tail, end)
            if batch is not None:
                return InferBody(batch, plan.reply)
        wire, requested, batch = self._read(servable, bytes(raw[start:end]), head_bytes)
        if plan is None and may_be_known:
            plan = plan_binary(servable, wire, requested, end - tail)
            if plan is not None:
                plans[surroundings] = plan
        return self._ordinarily(servable, wire, requested, batch)

    def _read(self, servable: Servable, body: bytes, head_bytes: int | None) -> tuple[Any, Any, Batch]:
        wire = read_request(body, head_bytes)
        check_named_model(servable, wire)
        return (
            wire,
            requested_outputs(servable, wire),
            read_batch(servable, wire, maximum_rows=self._maximum_rows),
        )

    def _ordinarily(self, servable: Servable, wire: Any, requested: Any, batch: Batch) -> InferBody:
        event_time = parse_given_timestamp(wire.parameters.get("event_time"), field="event_time")
        return InferBody(
            batch, lambda prediction: write_reply(servable, wire, requested, prediction), event_time
        )
