"""Rows of a JSON request in one of the four forms of MLflow's scoring protocol. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.contracts.feature import Feature
from shared.errors import InvalidRequest
from shared.http.json_body import parse_json
from shared.validation_text import kind_of, show

Row = dict[str, Any]

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_KEYS = frozenset({*FORMS, "params"})
_SPLIT_KEYS = frozenset({"columns", "index", "data"})
_PARAMETERS = ("model", "event_time", "key")
# Each costs about a microsecond, during which no other request is answered.
_MAX_NANS = 1_000_000
# A run of anything but NaN, then NaN where there is one. Strings are skipped whole; linear, also where a string has no end.
_NAN = re.compile(rb'((?:[^"N]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|N(?!aN))*+)(NaN)?', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Invocation:
    """A scoring request: the data under `form`, and what `params` say. Those are None where not given."""

    form: str
    data: Any
    model: str | None
    event_time: Any
    key: Any = None


def read_invocation(body: bytes) -> Invocation:
    """Decode the request; NaN, which MLflow's client writes for a missing value, is null. Raises InvalidRequest (400)."""
    if b"NaN" in body:
        if (count := body.count(b"NaN")) > _MAX_NANS:
            raise _bad("body", f"the body has NaN {count} times", f"null, or NaN at most {_MAX_NANS} times")
        body = _NAN.sub(lambda found: found[1] + (b"null" if found[2] else b""), body)
    document = parse_json(body, dict)
    unknown = document.keys() - _KEYS
    forms = [name for name in FORMS if name in document]
    if unknown or len(forms) != 1:
        field = min(unknown)[:80] if unknown else "body"
        problem = f"`{field}` is unknown" if unknown else f"the body has {' and '.join(forms) or 'no rows'}"
        raise _bad(field, problem, f"exactly one of {', '.join(FORMS)}, and `params`")
    params = document.get("params")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise _bad("params", f"`params` is {kind_of(params)}", f"an object with {', '.join(_PARAMETERS)}")
    if surplus := params.keys() - set(_PARAMETERS):
        name = min(surplus)[:80]
        raise _bad("params", f"`params` has the unknown key {name!r}", f"only {', '.join(_PARAMETERS)}")
    model = params.get("model")
    if model is not None and not isinstance(model, str):
        raise _bad("model", f"`model` is {show(model)}", "the name of a model")
    return Invocation(forms[0], document[forms[0]], model, params.get("event_time"), params.get("key"))


def rows_of(invocation: Invocation, features: Sequence[Feature]) -> list[Row]:
    """One object of feature names and values per row; the values are not checked. Raises InvalidRequest (400)."""
    form, data = invocation.form, invocation.data
    if form == "dataframe_split":
        return _of_split(data)
    if form == "inputs" and isinstance(data, dict):
        return _of_columns(data, features)
    if not isinstance(data, list):
        expected = "lists by feature name, or a list of rows" if form == "inputs" else "a list of rows"
        raise _bad(form, f"`{form}` is {kind_of(data)}", expected)
    if form != "dataframe_records" and len(features) == 1 and not any(type(row) is dict for row in data):
        return [{features[0].name: value} for value in _column(data, features[0].type == "tensor")]
    for place, row in enumerate(data):
        if type(row) is not dict:
            raise _bad(
                form,
                f"row {place} of `{form}` is {kind_of(row)}",
                "an object of feature names and values",
                place,
            )
    return data


def _of_split(data: Any) -> list[Row]:
    form = "dataframe_split"
    if not isinstance(data, dict) or not data.keys() <= _SPLIT_KEYS:
        raise _bad(form, f"`{form}` is {kind_of(data)}", "an object with columns and data")
    columns, rows = data.get("columns"), data.get("data")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise _bad(form, f"`columns` is {kind_of(columns)}", "a list of feature names")
    check_columns(columns)
    if not isinstance(rows, list):
        raise _bad(form, f"`data` is {kind_of(rows)}", "a list with one list of values per row")
    for place, row in enumerate(rows):
        if type(row) is not list or len(row) != len(columns):
            raise _bad(form, f"row {place} is {kind_of(row)}", f"a list of {len(columns)} values", place)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _of_columns(data: dict[str, Any], features: Sequence[Feature]) -> list[Row]:
    tensors = {feature.name for feature in features if feature.type == "tensor"}
    columns: dict[str, list[Any]] = {}
    for name, values in data.items():
        if not isinstance(values, list):
            raise _bad(name[:80], f"input {name[:80]} is {kind_of(values)}", "a list with one value per row")
        columns[name] = _column(values, name in tensors)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        name = next(name for name in lengths if lengths[name] != next(iter(lengths.values())))
        first = next(iter(lengths))
        raise _bad(
            name[:80],
            f"input {name[:80]} has {lengths[name]} rows, and {first[:80]} has {lengths[first]}",
            "the same number of rows in every input",
        )
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(values: list[Any], of_tensors: bool) -> list[Any]:
    """One value per row; a numpy column may have the shape [N, 1]."""
    if of_tensors or not all(type(one) is list and len(one) == 1 for one in values):
        return values
    return [one[0] for one in values]


def check_columns(columns: Sequence[str]) -> None:
    """Raises InvalidRequest for a column that is there twice."""
    for place, name in enumerate(columns):
        if name in columns[:place]:
            raise _bad(name[:80], f"column {name[:80]!r} is there twice", "each column once")


def _bad(field: str, problem: str, expected: str, row: int | None = None) -> InvalidRequest:
    return InvalidRequest(problem, field=field, expected=expected, row=row, status=400)
