"""Reads bodies of `/predict`, by the quickest of three ways that understands them.

1. rows of one tensor, by a plan made from an earlier body: their numbers are read as one array
2. rows decoded straight to the types of the model's features
3. for wide tables and large bodies, rows as JSON objects: their time does not depend on the order of names

Rows of 2 and 3 are checked later, together with those of other requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from services.inference.fast_path.tensor_rows import Around, TensorRowsPlan, around_lists, plan_tensor_rows
from services.inference.fast_path.typed_rows import TypedRows
from services.inference.http.routing_key import parse_key
from services.inference.http.timestamps import parse_given_timestamp
from services.inference.models.servable import Servable
from services.inference.prediction.call import Check
from shared.errors import HomeostatError
from shared.repeated_names import repeats_a_name

_KEYS = frozenset({"model", "event_time", "key", "rows"})
# Where clients write the model's name: before or after the rows. Only a guess: the decoded body decides.
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]*)"')
_NEAR = 256
_MAX_PLANS = 256


class PredictRequest(NamedTuple):
    """What a body asks of a servable, which is acquired: decoded rows, and how to check them."""

    servable: Servable
    rows: int
    documents: list[Any]
    check: Check
    event_time: datetime | None = None
    key: str | None = None


class PredictReader:
    """Reads the bodies of all connections; not for several threads."""

    def __init__(
        self,
        acquire: Callable[[str | None], Servable | None],
        release: Callable[[Servable], None],
        *,
        maximum_rows: int,
    ) -> None:
        self._acquire = acquire
        self._release = release
        self._maximum_rows = maximum_rows
        self._plans: dict[Around, TensorRowsPlan] = {}
        self._last: TensorRowsPlan | None = None
        self._typed: dict[str, tuple[Servable, TypedRows]] = {}

    def find(self, raw: bytes, start: int, end: int) -> TensorRowsPlan | None:
        """The plan for the body `raw[start:end]`, if there is one. Its version may have been replaced."""
        # Requests that come one after the other are often alike.
        plan = self._last
        if plan is None or not plan.fits(raw, start, end):
            around = around_lists(raw, start, end)
            plan = None if around is None else self._plans.get(around)
            self._last = plan or self._last
        return plan

    def read(self, raw: bytes, start: int, end: int) -> PredictRequest | None:
        """The request in `raw[start:end]`, and a plan for such requests; None: answer it in the ordinary way."""
        found = self._read(raw, start, end)
        around = None if found is None else around_lists(raw, start, end)
        if found is not None and around is not None:
            known = self._plans.get(around)
            if known is None or known.servable is not found.servable:
                self._learn(found.servable, around)
        return found

    def forget(self, model: str) -> None:
        """Let go of what belongs to a model that is no longer loaded."""
        self._typed.pop(model, None)
        self._plans = {key: plan for key, plan in self._plans.items() if plan.servable.model != model}
        self._last = None

    def _learn(self, servable: Servable, around: Around) -> None:
        plan = plan_tensor_rows(servable, around)
        if plan is not None:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            self._plans[around] = self._last = plan

    def _read(self, raw: bytes, start: int, end: int) -> PredictRequest | None:
        body = memoryview(raw)[start:end]
        near = _MODEL.search(body, 0, _NEAR) or _MODEL.search(body, max(0, len(body) - _NEAR))
        try:
            model = None if near is None else near[1].decode()
        except UnicodeDecodeError:
            return None
        servable = self._acquire(model)
        if servable is None:
            return None
        found = None
        try:
            found = (
                self._as_types(servable, model, raw, start, end)
                if TypedRows.takes(servable.schema, len(body))
                else self._as_objects(servable, model, body)
            )
        except HomeostatError:  # a time or key that is none
            pass
        finally:
            if found is None:
                self._release(servable)
        return found

    def _as_types(
        self, servable: Servable, model: str | None, raw: bytes, start: int, end: int
    ) -> PredictRequest | None:
        typed = self._typed.get(servable.model)
        if typed is None or typed[0] is not servable:
            typed = self._typed[servable.model] = (servable, TypedRows(servable.schema))
        found = typed[1].decode(raw, start, end)
        if found is None or found.model != model:
            return None
        return self._request(servable, found.rows, typed[1].batch, found.event_time, found.key)

    def _as_objects(self, servable: Servable, model: str | None, body: memoryview) -> PredictRequest | None:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        if (
            not isinstance(document, dict)
            or not document.keys() <= _KEYS
            or document.get("model") != model
            or not isinstance(document.get("rows"), list)
            or repeats_a_name(body, document)
        ):
            return None
        check = servable.schema.batch
        return self._request(
            servable, document["rows"], check, document.get("event_time"), document.get("key")
        )

    def _request(
        self, servable: Servable, rows: list[Any], check: Check, event_time: object, key: object
    ) -> PredictRequest | None:
        if not 0 < len(rows) <= self._maximum_rows:
            return None
        return PredictRequest(
            servable,
            len(rows),
            rows,
            check,
            parse_given_timestamp(event_time, field="event_time"),
            parse_key(key),
        )
