from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from homeostat.client.rows import to_rows
from shared.errors import InvalidRequest

ROWS = [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "given", [ROWS, tuple(ROWS), iter(ROWS), pd.DataFrame(ROWS), pa.Table.from_pylist(ROWS)]
)
def test_rows_are_taken_in_every_form(given: Any) -> None:
    assert to_rows(given) == ROWS


def test_one_mapping_is_one_row() -> None:
    assert to_rows({"a": 1}) == [{"a": 1}]


@pytest.mark.parametrize(
    ("given", "words"), [("abc", "`rows` is 'abc'"), (5, "`rows` is 5"), ([], "empty"), ([1], "row 0 is 1")]
)
def test_anything_else_is_refused(given: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        to_rows(given)


@pytest.mark.parametrize("given", [pd.Series({"a": 1}), pd.Series([1, 2], name="a")])
def test_a_series_is_refused_with_what_to_call(given: Any) -> None:
    with pytest.raises(InvalidRequest, match="is a Series") as caught:
        to_rows(given)
    assert "row.to_dict()" in caught.value.hint


@pytest.mark.parametrize("given", ["what a film", ["what a film"]])
def test_bare_values_are_refused_with_a_call_that_names_them(given: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        to_rows(given)
    assert "client.predict({" in caught.value.hint
