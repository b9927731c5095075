"""CSV as data frames are written."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from services.inference.mlflow_scoring.csv_rows import read_csv
from shared.contracts.feature import Feature
from shared.errors import InvalidRequest
from tests.unit.services.inference.mlflow_scoring.damage import ATTEMPTS, refused_of_damaged

FEATURES = (
    Feature(name="amount", type="number", nullable=True),
    Feature(name="count", type="integer"),
    Feature(name="member", type="boolean"),
    Feature(name="colour", type="category", values=("red", "green"), nullable=True),
    Feature(name="note", type="text"),
    Feature(name="stocked", type="integer", minimum=0, maximum=1, nullable=True),
)


def rows(text: str) -> Any:
    return read_csv(text.encode(), FEATURES)


@pytest.mark.parametrize("index", [True, False])
def test_frames_written_by_pandas_are_read(index: bool) -> None:
    frame = pd.DataFrame(
        {
            "amount": [1.5, float("nan")],
            "count": [2, -3],
            "member": [True, False],
            "colour": ["red", None],
            "note": ["a, b", 'two\nlines and "quotes"'],
        }
    )
    assert rows(frame.to_csv(index=index)) == [
        {"amount": 1.5, "count": 2, "member": True, "colour": "red", "note": "a, b"},
        {"amount": None, "count": -3, "member": False, "colour": None, "note": 'two\nlines and "quotes"'},
    ]


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("amount", "1e3", 1000.0),
        ("amount", " 2 ", 2.0),
        ("amount", "NA", None),
        ("amount", "1_000", "1_000"),
        ("amount", "inf", "inf"),
        ("amount", "1e999", "1e999"),
        ("amount", "9" * 5000, "9" * 5000),
        ("count", "3.0", 3.0),
        ("count", "9" * 19, int("9" * 19)),
        ("count", "x", "x"),
        ("member", "TRUE", True),
        ("member", "1", "1"),
        ("stocked", "True", True),
        ("stocked", "0", 0),
        ("stocked", "", None),
        ("note", "NA", "NA"),
        ("note", "7", "7"),
        ("other", "7", "7"),
    ],
)
def test_cells_have_the_type_of_their_feature(column: str, cell: str, value: Any) -> None:
    [row] = rows(f"{column},x\n{cell},\n")
    assert (row[column], type(row[column])) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("count,count\n1,2\n", None),
        ("count,note\n1,a\n2\n", 1),
        ('count\n"1\n', None),
        ('note\n"a"b\n', None),
        ("note\n" + "a" * 200_000, None),
    ],
)
def test_malformed_csv_is_refused(text: str, row: int | None) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rows(text)
    assert (refused.value.status, refused.value.row) == (400, row)


def test_other_encodings_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="the body is not CSV"):
        read_csv("note\ngrün\n".encode("latin-1"), FEATURES)
    assert read_csv("note\ngrün\n".encode("utf-8-sig"), FEATURES) == [{"note": "grün"}]


def test_damaged_requests_are_read_or_refused() -> None:
    valid = b',amount,count,note\n0,1.5,2,"a ""b""\n"\n1,,-3,x\n'
    assert 500 < refused_of_damaged(valid, lambda body: read_csv(body, FEATURES)) < ATTEMPTS
