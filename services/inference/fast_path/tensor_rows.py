"""Bodies of `/predict` whose rows are one list of numbers each, and that differ from an earlier one in their numbers only. Pure.

What is before the first list, between two and after the last is known again by its bytes. That these lists are the rows of a
model's only feature is proven once, by a document with other numbers in their place.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from services.inference.fast_path.number_array import NumberArrays
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable

_MAX_PART = 1024


def find_lists(raw: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Where the numbers of the first row start and those of the last end in `raw[start:end]`; None if that is not clear."""
    rows = raw.find(b"[", start, min(end, start + _MAX_PART))
    first = raw.find(b"[", rows + 1, min(end, rows + _MAX_PART)) + 1 if rows > 0 else 0
    if not first:
        return None
    last = raw.find(b"]", raw.rfind(b"[", first - 1, end), end)
    return (first, last) if last > 0 and end - last <= _MAX_PART else None


@dataclass(frozen=True, slots=True)
class TensorRowsPlan:
    """How to read bodies that have `before`, `between` (empty: one row) and `after` around the numbers of their rows.

    `model`: as the body names it; `size`: numbers per row.
    """

    before: bytes
    between: bytes
    after: bytes
    servable: Servable
    model: str | None
    feature: str
    size: int

    def find(self, raw: bytes, start: int, end: int) -> bytes | None:
        """From the first number to the last, if `raw[start:end]` begins and ends as known."""
        if raw.startswith(self.before, start) and raw.endswith(self.after, start, end):
            return bytes(raw[start + len(self.before) : end - len(self.after)])
        return None

    def read(self, text: bytes, numbers: NumberArrays, *, maximum_rows: int) -> Batch | None:
        """The rows in `text`, from the first number to the last; None: read them the ordinary way."""
        rows = text.split(self.between) if self.between else [text]
        if len(rows) > maximum_rows:
            return None
        floats = numbers.read_rows(rows, self.size)
        if floats is None:
            return None
        tensor = {self.feature: floats}
        return Batch(len(rows), tensor, tensor)


def plan_tensor_rows(servable: Servable, before: bytes, text: bytes, after: bytes) -> TensorRowsPlan | None:
    """The plan for bodies that begin and end as this one, whose numbers are in `text`; None if there can be none."""
    features = servable.schema.features
    if len(features) != 1 or len(features[0].shape) != 1:
        return None
    closing = text.find(b"]")
    between = text[closing : text.find(b"[", closing) + 1] if closing >= 0 else b""
    if len(between) > _MAX_PART:
        return None
    name = features[0].name
    # As many arrays as `[` in the document: none of them stands in a text or in a value that a later one replaces.
    given = [1, 2, 3] if between else [1]
    try:
        document = orjson.loads(before + between.join(b"%d" % number for number in given) + after)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict) or not document.keys() <= {"model", "rows"}:
        return None
    model = document.get("model")
    if document.get("rows") != [{name: [number]} for number in given] or model not in (None, servable.model):
        return None
    return TensorRowsPlan(before, between, after, servable, model, name, features[0].shape[0])
