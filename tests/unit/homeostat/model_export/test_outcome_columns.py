"""Which columns of the rows are outcomes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from homeostat.model_export.outcome_columns import outcome_columns
from shared.errors import ExportRefused

ROWS = pd.DataFrame({"x": [1.0, 2.0], "low": [1.0, np.nan], "high": [3.0, 4.0], "outcome": [0.5, None]})


def test_one_column_is_one_outcome_per_row() -> None:
    found = outcome_columns(ROWS, "outcome")
    assert (found.sources, found.names) == (("outcome",), ())
    assert found.single is ROWS["outcome"] or found.single.equals(ROWS["outcome"])  # type: ignore[union-attr]
    absent = outcome_columns(ROWS, "truth")
    assert (absent.sources, absent.names, absent.values, absent.single) == (("truth",), (), None, None)


def test_several_columns_are_values_with_their_names() -> None:
    found = outcome_columns(ROWS, ["high", "low"])
    assert (found.sources, found.names, found.single) == (("high", "low"), ("high", "low"), None)
    assert found.values is not None
    assert list(found.values.columns) == ["high", "low"]


def test_dictionaries_are_values_with_their_keys() -> None:
    rows = ROWS.assign(outcome=pd.Series([None, {"low": 1.0, "high": 2.0}]))
    found = outcome_columns(rows, "outcome")
    assert (found.sources, found.names) == (("outcome",), ("low", "high"))
    assert found.values is not None
    np.testing.assert_array_equal(found.values.to_numpy(dtype=float), [[np.nan, np.nan], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("outcome", "rows", "said"),
    [
        (["low", "top"], ROWS, "the rows have no outcome column 'top'"),
        (["low"], ROWS, "outcome= has 1 names"),
        (
            "outcome",
            ROWS.assign(outcome=pd.Series([{"a": 1.0}, {"b": 1.0}])),
            "dictionaries with different names",
        ),
        (
            "outcome",
            ROWS.assign(outcome=None),
            "the outcome column 'outcome' has no values .pass rows with outcomes, or drop the column",
        ),
    ],
)
def test_outcomes_that_do_not_match_are_refused(outcome: str, rows: pd.DataFrame, said: str) -> None:
    with pytest.raises(ExportRefused, match=said):
        outcome_columns(rows, outcome)


def test_name_that_loop_yaml_cannot_have_is_refused() -> None:
    rows = pd.DataFrame({"pm 10": [1.0], "no2": [2.0]})
    with pytest.raises(ExportRefused, match="'pm 10' cannot be the name of a value") as refused:
        outcome_columns(rows, ["pm 10", "no2"])
    assert refused.value.hint.endswith('rows.rename(columns={"pm 10": "pm_10"})')
