"""The inputs of a model, as the server describes them, and the check of rows against them. Pure.

The server checks again and decides; this check says earlier, with the row, what it would refuse.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from homeostat.client.plain_values import WITH_OFFSET, plain, time_text
from shared.errors import InvalidRequest
from shared.models.feature_names import columns_of
from shared.models.nullable_booleans import is_flag

Row = dict[str, Any]
_SHOWN = 8
_SIMILAR = 0.75


@dataclass(frozen=True)
class Input:
    """One input: its name, its type as in loop.yaml, and the values it accepts."""

    name: str
    type: str
    nullable: bool = False
    values: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @property
    def valid(self) -> str:
        """Known values, shape or range, in words; empty if there are none. Numbers outside a range are served and logged.

        >>> Input("age", "number", minimum=0).valid, Input("image", "tensor", shape=(1, 8)).valid
        ('at least 0', 'shape [1, 8]')
        """
        if self.values:
            return ", ".join(self.values[:_SHOWN]) + (", …" if len(self.values) > _SHOWN else "")
        if self.shape:
            return f"shape {list(self.shape)}"
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"at least {self.minimum:g}"
        return f"at most {self.maximum:g}" if self.maximum is not None else ""

    @property
    def expected(self) -> str:
        """The accepted values, in words."""
        words = {
            "number": "a finite number",
            "integer": "a 64-bit integer",
            "boolean": "true or false",
            "timestamp": WITH_OFFSET,
            "tensor": f"finite numbers of shape {list(self.shape)}",
        }.get(self.type, "text")
        if is_flag(self.type, self.minimum, self.maximum):
            words += ", true or false"
        if self.values:
            words = f"one of {', '.join(self.values[:20])}" + (", …" if len(self.values) > 20 else "")
        return f"{words}, or null" if self.nullable else words

    def convert(self, value: Any, row: int) -> Any:
        """The value as it is sent. A whole float is an integer to an integer input. Raises InvalidRequest."""
        value = plain(value)
        if value is None:
            if self.nullable:
                return None
            raise self._wrong(row, "is missing")
        if self.type == "timestamp":
            return time_text(value, field=self.name, row=row)
        if self.type == "integer" and type(value) is float and value.is_integer():
            value = int(value)  # pandas has no integers in a column with missing values
        if type(value) is bool and is_flag(self.type, self.minimum, self.maximum):
            value = int(value)
        if not self._accepts(value):
            raise self._wrong(row, self._problem(value))
        return value

    def _problem(self, value: Any) -> str:
        found = _shape(value) if self.type == "tensor" and type(value) is list else None
        if found is None or _fits(found, self.shape):
            return f"is {repr(value)[:60]}"
        return f"has shape {list(found)}"

    def _accepts(self, value: Any) -> bool:
        if self.type == "number":
            return type(value) in (int, float) and _is_finite(value)
        if self.type == "integer":
            return type(value) is int and -(2**63) <= value < 2**63
        if self.type == "boolean":
            return type(value) is bool
        if self.type == "tensor":
            return _has_shape(value, self.shape)
        return type(value) is str and (not self.values or value in self.values)

    def _wrong(self, row: int, problem: str) -> InvalidRequest:
        return InvalidRequest(
            f"feature {self.name} of row {row} {problem}; expected {self.expected}",
            field=self.name,
            expected=self.expected,
            row=row,
        )


class ModelInputs(Sequence[Input]):
    """The inputs of one version of a model. `answer`: the kind of its answers, and their `labels` or `names`, one a line."""

    def __init__(
        self, model: str, version: str, inputs: Sequence[Input], answer: Mapping[str, str] | None = None
    ) -> None:
        self.model = model
        self.version = version
        self.answer = dict(answer or {})
        self._by_name = {one.name: one for one in inputs}
        self._columns: tuple[tuple[str, ...], dict[str, str]] | None = None

    @classmethod
    def from_metadata(cls, document: Mapping[str, Any]) -> ModelInputs:
        """From the answer of `/v2/models/<model>`."""
        inputs = []
        for each in document["inputs"]:
            parameters = each.get("parameters") or {}
            # A category may accept values that loop.yaml does not list.
            values = "" if parameters.get("unknown") == "serve" else str(parameters.get("values") or "")
            inputs.append(
                Input(
                    each["name"],
                    str(parameters.get("type", "")),
                    bool(parameters.get("nullable")),
                    tuple(values.split("\n")) if values else (),
                    tuple(each["shape"][1:]),
                    parameters.get("minimum"),
                    parameters.get("maximum"),
                )
            )
        outputs = document.get("outputs") or [{}]
        return cls(document["name"], document["versions"][0], inputs, outputs[0].get("parameters"))

    @property
    def names(self) -> list[str]:
        """The names of the inputs, in the model's order."""
        return list(self._by_name)

    def __repr__(self) -> str:
        """A table of the inputs for people."""
        table = [("name", "type", "missing", "valid")]
        table += [(one.name, one.type, "yes" if one.nullable else "no", one.valid) for one in self]
        widths = [max(len(row[column]) for row in table) for column in range(3)]
        lines = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
            for row in table
        ]
        return "\n".join(
            [f"{len(self)} inputs of {self.model}, version {self.version[:12]}", *map(str.rstrip, lines)]
        )

    def __getitem__(self, place: Any) -> Any:
        return list(self._by_name.values())[place]

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Input]:
        return iter(self._by_name.values())

    def convert(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The rows as they are sent. Raises InvalidRequest that names the first wrong field, its row and what was expected."""
        return [self._row(row, number) for number, row in enumerate(rows)]

    def _row(self, row: Mapping[str, Any], number: int) -> Row:
        if not row.keys() <= self._by_name.keys():
            row = self._named(row, number)
        return {name: one.convert(row.get(name), number) for name, one in self._by_name.items()}

    def _named(self, row: Mapping[str, Any], number: int) -> Mapping[str, Any]:
        """The row by the names of the inputs: an export may have renamed its columns."""
        names = tuple(map(str, row))
        if (
            self._columns is None or self._columns[0] != names
        ):  # of one data frame they are the same in all rows
            self._columns = names, columns_of(self._by_name, names)
        columns = self._columns[1]
        known = set(columns.values())
        for name in row:
            if name not in known:
                raise InvalidRequest(
                    f"model {self.model} has no input {str(name)[:80]!r} (row {number})",
                    field=str(name)[:80],
                    expected=f"only {', '.join(self._by_name)}",
                    row=number,
                    hint=self._meant(str(name), columns)
                    or f"leave it out; the inputs are {', '.join(self._by_name)}. From a DataFrame: "
                    "client.predict(frame[client.inputs().names])",
                )
        return {name: row[column] for name, column in columns.items()}

    def _meant(self, name: str, columns: Mapping[str, str]) -> str:
        """A similar input that the row lacks; empty if there is none."""
        lacking = {one.casefold().replace("_", ""): one for one in self._by_name if one not in columns}
        near = get_close_matches(name.casefold().replace("_", ""), lacking, n=1, cutoff=_SIMILAR)
        return f"did you mean {lacking[near[0]]}?" if near else ""


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of floats
        return False


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape of nested lists; None if lists side by side differ in it."""
    if type(value) is not list:
        return ()
    shapes = {_shape(item) for item in value}
    if len(shapes) > 1 or None in shapes:
        return None
    return (len(value), *(shapes.pop() if shapes else ()))  # type: ignore[misc]


def _fits(found: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return len(found) == len(shape) and all(
        length in (each, -1) for each, length in zip(found, shape, strict=True)
    )


def _has_shape(value: Any, shape: tuple[int, ...]) -> bool:
    """Whether nested lists of finite numbers have a shape; -1 fits any length."""
    if not shape:
        return type(value) in (int, float) and _is_finite(value)
    fits = type(value) is list and (shape[0] < 0 or len(value) == shape[0])
    return fits and all(_has_shape(item, shape[1:]) for item in value)
