"""Bodies of `/predict` whose rows are one list of numbers each, and that differ from an earlier one in their numbers only. Pure.

What is before the first list, between two and after the last is known again by its bytes. That these lists are the rows of a
model's only feature is proven once, by a document with other numbers in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from services.inference.fast_path.number_array import MAX_BYTES_AT_ONCE, Floats, NumberArrays
from services.inference.fast_path.reply import Reply
from services.inference.fast_path.request_groups import Asked
from services.inference.http.predict import write_predictions_of_requests
from services.inference.models.input_schema import Batch
from services.inference.models.servable import Servable
from services.inference.prediction.call import Prediction
from shared.repeated_names import repeats_a_name

_MAX_PART = 1024


Around = tuple[bytes, bytes, bytes]


def around_lists(raw: bytes, start: int, end: int) -> Around | None:
    """What is before the first row's numbers, between two rows' (empty: there is one row), and after the last row's in
    `raw[start:end]`; None if that is not clear.
    """
    rows = raw.find(b"[", start, min(end, start + _MAX_PART))
    first = raw.find(b"[", rows + 1, min(end, rows + _MAX_PART)) + 1 if rows > 0 else 0
    if not first:
        return None
    last = raw.find(b"]", raw.rfind(b"[", first - 1, end), end)
    if last < 0 or end - last > _MAX_PART:
        return None
    closing = raw.find(b"]", first, last)
    opening = raw.find(b"[", closing, min(last, closing + _MAX_PART)) + 1 if closing >= 0 else 0
    if closing >= 0 and not opening:
        return None
    between = raw[closing:opening] if closing >= 0 else b""
    return bytes(raw[start:first]), bytes(between), bytes(raw[last:end])


@dataclass(frozen=True, slots=True, eq=False)
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
    is_text: bool = True
    path: str = "/predict"

    def fits(self, raw: bytes, start: int, end: int) -> bool:
        """Whether the body `raw[start:end]` begins and ends as known; of one row, also that there is no other."""
        first = start + len(self.before)
        return (
            raw.startswith(self.before, start)
            and raw.endswith(self.after, first, end)
            and (self.between != b"" or raw.find(b"]", first, end - len(self.after)) < 0)
        )

    def rows(self, raw: bytes, first: int, last: int) -> int:
        """How many rows `raw[first:last]` has."""
        return raw.count(self.between, first, last) + 1 if self.between else 1

    def read(self, requests: Sequence[Asked], numbers: NumberArrays) -> list[Batch] | None:
        """The rows of the requests, in one batch or one each; None: one of them has to be read the ordinary way."""
        together = sum(one.last - one.first for one in requests) <= MAX_BYTES_AT_ONCE
        groups = [requests] if together else [[one] for one in requests]
        batches = []
        for group in groups:
            floats = self._read(group, numbers)
            if floats is None:
                return None
            tensor = {self.feature: floats}
            batches.append(Batch(len(floats), tensor, tensor))
        return batches

    def _read(self, requests: Sequence[Asked], numbers: NumberArrays) -> Floats | None:
        if len(requests) == 1 and self.between:
            (one,) = requests
            return numbers.read_separated(one.raw[one.first - 1 : one.last + 1], self.between, self.size)
        texts = [one.raw[one.first : one.last] for one in requests]
        if not self.between:
            return numbers.read_rows(texts, self.size)
        return numbers.read_separated(b"[%b]" % self.between.join(texts), self.between, self.size)

    def replies(self, prediction: Prediction, sizes: Sequence[int]) -> list[Reply]:
        """The ordinary path's replies."""
        return [Reply(body) for body in write_predictions_of_requests(self.servable, prediction, sizes)]


def plan_tensor_rows(servable: Servable, around: Around) -> TensorRowsPlan | None:
    """The plan for bodies whose numbers are surrounded so; None if there can be none."""
    before, between, after = around
    features = servable.schema.features
    if len(features) != 1 or len(features[0].shape) != 1:
        return None
    name = features[0].name
    # As many arrays as `[` in the document: none of them stands in a text or in a value that a later one replaces.
    given = [1, 2, 3] if between else [1]
    text = before + between.join(b"%d" % number for number in given) + after
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if (
        not isinstance(document, dict)
        or not document.keys() <= {"model", "rows"}
        or repeats_a_name(text, document)
    ):
        return None
    model = document.get("model")
    if document.get("rows") != [{name: [number]} for number in given] or model not in (None, servable.model):
        return None
    return TensorRowsPlan(before, between, after, servable, model, name, features[0].shape[0])
