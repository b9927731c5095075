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
