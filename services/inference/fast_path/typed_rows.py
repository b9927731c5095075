"""Bodies of `/predict` decoded straight to rows of a model's feature types, and such rows turned into columns. Pure.

A decoder is made per version, from its features. What it takes, the ordinary path takes too and reads the same. What it does
not take, the ordinary path decides, and words the error. msgspec takes the last of two fields of one name, which the ordinary
path refuses: a body is taken only if it has as many colons as fields (`repeated_names` has the reason).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple

from services.inference.fast_path.number_array import sum_of_squares
from services.inference.models.input_schema import Batch, Schema
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest
from shared.models.nullable_booleans import is_flag

_MAX_FEATURES = 256
_MAX_BODY_BYTES = 256 << 10
_LONG_BYTES = 4096  # from there on numpy counts faster than `bytes.count`
_COLON, _QUOTE, _SPACE = b':" '
_OPTIONAL = ("model", "event_time", "key")

Row = msgspec.Struct


class PredictBody(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A body of `/predict`; decoders replace the type of `rows` by that of the model's rows."""

    rows: list[Any]
    model: str | msgspec.UnsetType | None = msgspec.UNSET
    event_time: str | msgspec.UnsetType | None = msgspec.UNSET
    key: str | msgspec.UnsetType | None = msgspec.UNSET


class TypedRows:
    """Reads rows of one version. Their fields are in the order of the features, which clients tend to keep."""

    def __init__(self, schema: Schema) -> None:
        features = schema.features
        self._names = [one.name for one in features]
        self._numbers = [
            place for place, one in enumerate(features) if one.type == "number" and not one.is_protected
        ]
        self._others = [
            (place, check) for place, check in enumerate(schema.checks) if place not in self._numbers
        ]
        # Clients tend to send every field; for the others it has to be counted which are missing.
        self._complete = _decoder(features, takes_missing=False)
        self._partial = _decoder(features, takes_missing=True)
        self._optional = [f"f{place}" for place, one in enumerate(features) if one.nullable]

    @staticmethod
    def takes(schema: Schema, body_bytes: int) -> bool:
        """Whether it is quick for sure: a name that is not the next one is looked for among all."""
        return len(schema.features) <= _MAX_FEATURES and body_bytes <= _MAX_BODY_BYTES

    def decode(self, raw: bytes, start: int, end: int) -> PredictBody | None:
        """The body `raw[start:end]`; None if anything about it is not plainly right."""
        text, missing = memoryview(raw)[start:end], 0
        try:
            body: PredictBody = self._complete.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            if not self._optional:
                return None
            try:
                body = self._partial.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                return None
            missing = sum(_fill(row, self._optional) for row in body.rows)
        names = 1 + len(_OPTIONAL) - _fill(body, _OPTIONAL) + len(self._names) * len(body.rows) - missing
        return body if has_names(raw, start, end, names) else None

    def batch(self, rows: Sequence[Row]) -> Batch:
        """The rows as columns. Raises InvalidRequest where a value is not one of its feature."""
        columns: list[Any] = list(zip(*map(astuple, rows), strict=True))
        feeds: list[Any] = columns.copy()
        if self._numbers:
            numbers = _to_float32([columns[place] for place in self._numbers])
            for place, array in zip(self._numbers, numbers, strict=True):
                feeds[place] = array
        for place, check in self._others:
            feeds[place], columns[place] = check(list(columns[place]), may_hold_booleans=False)
        return Batch(
            len(rows),
            dict(zip(self._names, feeds, strict=True)),
            dict(zip(self._names, columns, strict=True)),
        )


def has_names(raw: bytes, start: int, end: int, names: int) -> bool:
    """Whether the JSON document `raw[start:end]`, with so many different fields in its objects, certainly repeats none."""
    if end - start < _LONG_BYTES and raw.count(b":", start, end) == names:
        return True
    text = np.frombuffer(raw, np.uint8, end - start, start)
    is_colon = text == _COLON
    if np.count_nonzero(is_colon) == names:
        return True
    # Colons in strings, such as those of timestamps: of these only one at the very beginning follows a quote.
    before = text[np.flatnonzero(is_colon) - 1]
    return not (before <= _SPACE).any() and np.count_nonzero(before == _QUOTE) == names


def _decoder(features: Sequence[Feature], *, takes_missing: bool) -> msgspec.json.Decoder[Any]:
    """`takes_missing`: fields of nullable features may be missing."""
    # A feature's name may be a word of Python; and without `kw_only` fields with a default must be the last.
    row = msgspec.defstruct(
        "Row",
        [
            (f"f{place}", _type(one), msgspec.UNSET)
            if one.nullable and takes_missing
            else (f"f{place}", _type(one))
            for place, one in enumerate(features)
        ],
        kw_only=True,
        rename={f"f{place}": one.name for place, one in enumerate(features)},
        forbid_unknown_fields=True,
        gc=False,
    )
    body = msgspec.defstruct("Body", [("rows", list[row])], bases=(PredictBody,), kw_only=True, gc=False)  # type: ignore[valid-type]
    return msgspec.json.Decoder(body)


def _fill(fields: Any, names: Sequence[str]) -> int:
    """Set the optional fields that are missing to None; how many these are."""
    missing = 0
    for name in names:
        if getattr(fields, name) is msgspec.UNSET:
            setattr(fields, name, None)
            missing += 1
    return missing


def _to_float32(columns: Sequence[Sequence[float | None]]) -> npt.NDArray[np.float32]:
    """One row of the array per column; None is NaN. Raises InvalidRequest for a number that does not fit."""
    count = len(columns) * len(columns[0])
    try:
        # Half the time that numpy takes for nested sequences.
        numbers = np.frombuffer(struct.pack(f"{count}d", *chain.from_iterable(columns)))
    except struct.error:  # a missing value
        numbers = np.array(columns, np.float64).reshape(-1)
    floats = numbers.astype(np.float32)
    # JSON has no infinity: one is a number beyond float32.
    if not sum_of_squares(floats) < math.inf and np.isinf(floats).any():
        raise InvalidRequest("a number does not fit into float32", field="rows", expected="finite numbers")
    return floats.reshape(len(columns), -1)


def _type(feature: Feature) -> Any:
    """The type of the decoded values of a feature that the ordinary path accepts in the same form."""
    kind: Any
    if feature.takes_any_text or feature.type == "timestamp":
        kind = str
    elif feature.type == "category":
        kind = Literal[feature.values]
    elif feature.type == "boolean":
        kind = bool
    elif feature.type == "number":
        kind = float
    else:
        kind = int | float
        if feature.type == "tensor":
            for _ in feature.shape:
                kind = list[kind]
        elif is_flag(feature.type, feature.minimum, feature.maximum):
            kind = int | float | bool
    return kind | None if feature.nullable else kind
