"""Rows of a file with a JSON object per line: SageMaker's data capture, or the columns themselves.

A line of data capture has `captureData.endpointInput` (CSV in the order of the features, or JSON), `endpointOutput`, perhaps
`groundTruthData` (after SageMaker's merge job), and `eventMetadata` with `eventId` and `inferenceTime`. One line may have several
rows. Format: docs.aws.amazon.com, "Capture data" and "Ingest ground truth labels", SageMaker Model Monitor.
"""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from cli.history.raw_rows import IDENTITY, READ_ROWS, RawRows, Refused, text_columns
from shared.errors import ProjectError

_MAX_LINE_BYTES = 64 << 20


class JsonLines:
    """The rows of such a file, in batches. `features`: names in the order of `loop.yaml`, for captured CSV and lists."""

    def __init__(self, path: Path, features: Sequence[str], *, time: str, outcome: str, score: str) -> None:
        """`time`, `outcome` and `score`: the columns that times, ground truth and captured answers become."""
        self._path = path
        self._features = features
        self._time, self._outcome, self._score = time, outcome, score
        self.names = self._names()

    def __iter__(self) -> Iterator[RawRows]:
        rows: list[Mapping[str, Any]] = []
        lines: list[int] = []
        refused: list[Refused] = []
        with self._path.open("rb") as file:
            for number, line in enumerate(_lines(file), 1):
                if not line.strip():
                    continue
                try:
                    found = self._rows_of(line)
                except (_Unreadable, orjson.JSONDecodeError) as error:
                    refused.append(Refused(number, getattr(error, "field", ""), f"cannot be read: {error}"))
                    continue
                rows.extend(found)
                lines.extend([number] * len(found))
                if len(rows) >= READ_ROWS:
                    yield RawRows(text_columns(rows), lines, refused)
                    rows, lines, refused = [], [], []
        yield RawRows(text_columns(rows), lines, refused)

    def _names(self) -> list[str]:
        with self._path.open("rb") as file:
            for line in _lines(file):
                try:
                    document = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                if isinstance(document, dict):
                    if "eventMetadata" in document:
                        return [self._time, *self._features, self._outcome, self._score, IDENTITY]
                    return list(document)
        raise ProjectError(f"{self._path} has no JSON object", hint="write a JSON object per line")

    def _rows_of(self, line: bytes) -> list[Mapping[str, Any]]:
        document = orjson.loads(line)
        if not isinstance(document, dict):
            raise _Unreadable("it is no JSON object")
        if "eventMetadata" not in document:
            return [document]
        capture, event = document.get("captureData"), document["eventMetadata"]
        if not isinstance(capture, dict) or "endpointInput" not in capture:
            raise _Unreadable(
                "there is no endpointInput: ground truth needs its captured request", "captureData"
            )
        if not isinstance(event, dict):
            raise _Unreadable("it is no object", "eventMetadata")
        rows = self._inputs(_part(capture, "endpointInput"))
        outcomes = _numbers_of(document, "groundTruthData", len(rows))
        scores = _numbers_of(capture, "endpointOutput", len(rows))
        identity = event.get("inferenceId") or event.get("eventId")
        return [
            {
                self._time: event.get("inferenceTime"),
                **row,
                **({self._outcome: outcomes[place]} if outcomes else {}),
                **({self._score: scores[place]} if scores else {}),
                **({IDENTITY: f"{identity}/{place}"} if identity else {}),
            }
            for place, row in enumerate(rows)
        ]

    def _inputs(self, given: Any) -> list[dict[str, Any]]:
        """The rows of a captured request."""
        if isinstance(given, str):
            return [self._by_name(fields) for fields in csv.reader(given.splitlines()) if fields]
        if isinstance(given, dict) and isinstance(given.get("instances"), list):
            given = given["instances"]
        rows = given if isinstance(given, list) and given and isinstance(given[0], list | dict) else [given]
        return [self._by_name(row) for row in rows]

    def _by_name(self, row: Any) -> dict[str, Any]:
        if isinstance(row, dict) and isinstance(row.get("features"), list):
            row = row["features"]
        if isinstance(row, dict):
            return row
        if not isinstance(row, list):
            raise _Unreadable("a row is neither a list nor an object", "endpointInput")
        if len(row) != len(self._features):
            raise _Unreadable(
                f"a row has {len(row)} values, but loop.yaml {len(self._features)} features", "endpointInput"
            )
        return dict(zip(self._features, row, strict=True))


class _Unreadable(ValueError):
    """Why a line is refused, and the field."""

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(problem)
        self.field = field


def _lines(file: Any) -> Iterator[bytes]:
    while line := file.readline(_MAX_LINE_BYTES):
        yield line


def _part(capture: Mapping[str, Any], name: str) -> Any:
    """The data of a captured part: text of CSV, or a JSON value."""
    part = capture.get(name)
    if not isinstance(part, dict) or not isinstance(part.get("data"), str):
        raise _Unreadable("it has no text `data`", name)
    data, encoding = str(part["data"]), str(part.get("encoding", "CSV")).upper()
    if encoding == "BASE64":
        try:
            data = base64.b64decode(data, validate=True).decode()
        except ValueError as error:
            raise _Unreadable(f"`data` is not Base64 of text: {error}", name) from error
        encoding = "JSON" if "json" in str(part.get("observedContentType", "")).lower() else "CSV"
    if encoding == "CSV":
        return data
    if encoding != "JSON":
        raise _Unreadable(f"`encoding` is {encoding!r}; expected CSV, JSON or BASE64", name)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _Unreadable(f"`data` is not JSON: {error}", name) from error


def _numbers_of(document: Mapping[str, Any], name: str, rows: int) -> list[Any]:
    """One value per row, of answers or ground truth; empty where there is none. Raises _Unreadable for another number of them."""
    if name not in document:
        return []
    given = _part(document, name)
    if isinstance(given, str):
        values: list[Any] = [value.strip() for line in csv.reader(given.splitlines()) for value in line]
    else:
        values = _values(given)
    if len(values) != rows:
        if name == "endpointOutput":
            return []  # several numbers per row, or another form: the answer is not needed
        raise _Unreadable(f"it has {len(values)} values for {rows} rows", name)
    return values


def _values(given: Any) -> list[Any]:
    if isinstance(given, dict):
        given = given.get("predictions", next(iter(given.values()), None))
    listed = given if isinstance(given, list) else [given]
    return [
        next((part for part in one.values() if isinstance(part, int | float)), None)
        if isinstance(one, dict)
        else one
        for one in listed
    ]
