from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from homeostat.model_export.checks.differing_columns import difference_hint, differing_columns
from homeostat.model_export.columns import infer_columns
from homeostat.model_export.comparison import Comparison
from homeostat.model_export.prediction_kind import Floats

ROWS = pd.DataFrame(
    {
        "age": [20.0, 30.0, 40.0, 50.0],
        "paid": [1.0, 2.0, np.nan, 4.0],
        "shop": pd.Series(["web", None, "mall", "web"], dtype=object),
    }
)
COLUMNS = infer_columns(ROWS, list(ROWS.columns))


def original(rows: pd.DataFrame) -> Floats:
    return np.asarray(rows["age"] / 100 + (rows["shop"] == "web"), dtype=np.float64)


def without_shop(rows: pd.DataFrame) -> Floats:
    return np.asarray(rows["age"] / 100, dtype=np.float64)


def shifted(rows: pd.DataFrame) -> Floats:
    return original(rows) + 0.25


def failing(rows: pd.DataFrame) -> Floats:
    if rows["paid"].isna().any():
        raise RuntimeError("no missing values")
    return original(rows)


def test_column_that_the_export_gets_wrong_is_named() -> None:
    assert differing_columns(COLUMNS, ROWS, original=original, exported=without_shop) == ["shop"]
    assert differing_columns(COLUMNS, ROWS, original=original, exported=failing) == ["paid"]


def test_no_column_is_named_of_a_difference_that_is_the_same_everywhere() -> None:
    assert differing_columns(COLUMNS, ROWS, original=original, exported=shifted) == []


@pytest.mark.parametrize(
    ("differing", "exported", "hint"),
    [
        (1, without_shop, "the rows above show where; if that is acceptable, .* larger tolerance="),
        (3, without_shop, "the difference changes with the column 'shop': .* replace it by one that"),
        (4, shifted, "the estimator's conversion is not exact, whatever the columns hold"),
    ],
)
def test_larger_tolerance_is_no_advice_where_most_rows_differ(
    differing: int, exported: object, hint: str
) -> None:
    refused = [Comparison("the rows", 4, differing=differing)]
    found = difference_hint(refused, COLUMNS, ROWS, original=original, exported=exported)  # type: ignore[arg-type]
    assert pd.Series([found]).str.match(hint).all(), found
