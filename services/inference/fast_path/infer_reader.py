"""Reads bodies of infer requests: with the ordinary path's functions, or by a plan made from what they read before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from services.inference.fast_path.infer_plan import InferPlan, plan_binary, plan_json, write_reply
from services.inference.fast_path.reply import Reply
from services.inference.http.routing_key import parse_key
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
Around = tuple[bytes, bytes]


class InferBody(NamedTuple):
    """Checked rows, and how their answer is written."""

    batch: Batch
    write: Write
    event_time: datetime | None = None
    key: str | None = None


class InferReader:
    """Reads the bodies of all connections; not for several threads."""

    def __init__(self, *, maximum_rows: int) -> None:
        self._maximum_rows = maximum_rows
        self._plans: dict[str, tuple[Servable, dict[Around, InferPlan]]] = {}
        self._last: InferPlan | None = None

    def find(
        self, servable: Servable, raw: bytes, start: int, end: int, head_bytes: int | None
    ) -> InferPlan | None:
        """The plan for the body `raw[start:end]`, if there is one. `head_bytes`: length of the JSON before binary tensors; None:
        JSON only.
        """
        # Requests that come one after the other are often alike.
        plan = self._last
        if plan is None or plan.servable is not servable or not plan.fits(raw, start, end, head_bytes):
            plan = self._known(servable, _around_numbers(raw, start, end, head_bytes))
            self._last = plan or self._last
        return plan

    def read(self, servable: Servable, raw: bytes, start: int, end: int, head_bytes: int | None) -> InferBody:
        """The request in `raw[start:end]`, read with the ordinary path's functions; makes a plan for such requests.

        Raises what the ordinary path raises.
        """
        wire = read_request(bytes(raw[start:end]), head_bytes)
        check_named_model(servable, wire)
        requested = requested_outputs(servable, wire)
        batch = read_batch(servable, wire, maximum_rows=self._maximum_rows)
        around = _around_numbers(raw, start, end, head_bytes)
        if around is not None and self._known(servable, around) is None:
            plan = (
                plan_json(servable, wire, requested, around)
                if head_bytes is None
                else plan_binary(servable, wire, requested, around[0], end - start - head_bytes)
            )
            if plan is not None:
                self._learn(servable, around, plan)
        key = parse_key(wire.parameters.get("key"))
        event_time = parse_given_timestamp(wire.parameters.get("event_time"), field="event_time")
        return InferBody(
            batch, lambda prediction: write_reply(servable, wire, requested, prediction), event_time, key
        )

    def forget(self, model: str) -> None:
        """Let go of what belongs to a model that is no longer loaded."""
        self._plans.pop(model, None)
        self._last = None

    def _known(self, servable: Servable, around: Around | None) -> InferPlan | None:
        found = self._plans.get(servable.model)
        return (
            found[1].get(around)
            if around is not None and found is not None and found[0] is servable
            else None
        )

    def _learn(self, servable: Servable, around: Around, plan: InferPlan) -> None:
        found = self._plans.get(servable.model)
        if found is None or found[0] is not servable:
            found = self._plans[servable.model] = (servable, {})
        if len(found[1]) >= _MAX_PLANS:
            found[1].clear()
        found[1][around] = self._last = plan


def _around_numbers(raw: bytes, start: int, end: int, head_bytes: int | None) -> Around | None:
    """What is before and after the numbers, with the brackets around them; None if that is not clear, or long."""
    if head_bytes is not None:
        # An empty head is none, so the key of binary requests is none of JSON requests.
        tail = start + head_bytes
        return (bytes(raw[start:tail]), b"") if 0 < head_bytes <= _MAX_SURROUNDINGS and tail <= end else None
    data = raw.find(b'"data"', start, end)
    first = raw.find(b"[", data, end) + 1 if data > 0 else 0
    last = raw.find(b"]", first, end) if first > 0 else -1
    if last < 0 or first - start + end - last > _MAX_SURROUNDINGS:
        return None
    return bytes(raw[start:first]), bytes(raw[last:end])
