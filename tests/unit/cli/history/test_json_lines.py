"""SageMaker's data capture: requests of one and several rows, as CSV, JSON and Base64, with answers and ground truth."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cli.history.json_lines import JsonLines
from cli.history.raw_rows import RawRows

FEATURES = ["distance", "carrier"]


def capture(
    data: str, encoding: str = "CSV", *, output: str | None = "0.25", truth: str | None = None, **event: Any
) -> str:
    document: dict[str, Any] = {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": data,
                "encoding": encoding,
            }
        },
        "eventMetadata": {"eventId": "e1", "inferenceTime": "2022-02-14T17:25:49Z", **event},
        "eventVersion": "0",
    }
    if output is not None:
        document["captureData"]["endpointOutput"] = {"mode": "OUTPUT", "data": output, "encoding": "CSV"}
    if truth is not None:
        document["groundTruthData"] = {"data": truth, "encoding": "CSV"}
    return json.dumps(document)


def read(path: Path, *lines: str) -> RawRows:
    path.write_text("\n".join(lines) + "\n")
    [rows] = list(JsonLines(path, FEATURES, time="event_time", outcome="outcome", score="score"))
    return rows


def columns(rows: RawRows) -> dict[str, list[Any]]:
    return {name: column.to_pylist() for name, column in rows.columns.items()}


def test_captured_rows_have_the_features_in_order(tmp_path: Path) -> None:
    rows = read(
        tmp_path / "a.jsonl",
        capture("12.5,AA", truth="1"),
        capture("7,UA\n8,AA\n", output="0.1\n0.2\n", truth="0,1"),
    )
    assert columns(rows) == {
        "event_time": ["2022-02-14T17:25:49Z"] * 3,
        "distance": ["12.5", "7", "8"],
        "carrier": ["AA", "UA", "AA"],
        "outcome": ["1", "0", "1"],
        "score": ["0.25", "0.1", "0.2"],
        "prediction_id": ["e1/0", "e1/0", "e1/1"],
    }
    assert list(rows.lines) == [1, 2, 2]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ('{"instances": [{"features": [12.5, "AA"]}]}', "JSON"),
        ('{"carrier": "AA", "distance": 12.5}', "JSON"),
        ('[[12.5, "AA"]]', "JSON"),
        (base64.b64encode(b"12.5,AA").decode(), "BASE64"),
    ],
)
def test_forms_of_a_request(tmp_path: Path, data: str, encoding: str) -> None:
    found = columns(read(tmp_path / "a.jsonl", capture(data, encoding, output=None)))
    assert (found["distance"], found["carrier"]) == (["12.5"], ["AA"])


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        (capture("12.5"), "endpointInput", "1 values, but loop.yaml 2 features"),
        (capture("12.5,AA", truth="1,0"), "groundTruthData", "2 values for 1 rows"),
        (capture("12.5,AA", "PROTOBUF"), "endpointInput", "`encoding` is 'PROTOBUF'"),
        (
            '{"groundTruthData": {}, "eventMetadata": {"eventId": "e"}}',
            "captureData",
            "there is no endpointInput",
        ),
        ("[1]", "", "it is no JSON object"),
        ('{"a": ', "", "cannot be read"),
    ],
)
def test_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, field: str, problem: str) -> None:
    rows = read(tmp_path / "a.jsonl", capture("1,AA"), line)
    [refused] = rows.refused
    assert (refused.line, refused.field) == (2, field)
    assert problem in refused.problem
    assert list(rows.lines) == [1], "the other lines are read"


def test_objects_of_columns_are_rows_too(tmp_path: Path) -> None:
    rows = read(
        tmp_path / "a.jsonl", '{"distance": 1, "image": [1.0, 2.0], "late": true}', '{"distance": null}'
    )
    assert columns(rows) == {"distance": ["1", None], "image": ["[1.0,2.0]", None], "late": ["true", None]}
