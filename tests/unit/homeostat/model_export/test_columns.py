from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from homeostat.model_export.columns import boolean_notes, infer_columns, require_listed, to_table
from shared.contracts.feature import Feature
from shared.contracts.prediction import ANSWER_NAMES
from shared.errors import ExportRefused
from shared.models.nullable_booleans import is_flag

ROWS = pd.DataFrame(
    {
        "amount (EUR)": [0.5, 88.0, np.nan],
        "age": [18, 60, 33],
        "shop": ["travel", None, "no"],
        "size": pd.Categorical(["S", "L", "S"], categories=["S", "M", "L"]),
        "weekday": pd.Categorical([1, 7, 1]),
        "card": [True, False, True],
    }
)


def test_types_ranges_and_categories_are_inferred() -> None:
    columns = infer_columns(ROWS, list(ROWS.columns))
    assert [column.feature for column in columns] == [
        Feature(name="amount_EUR", type="number", minimum=0, maximum=180, nullable=True),
        Feature(name="age", type="integer", minimum=0, maximum=110),
        Feature(name="shop", type="category", values=("no", "travel"), nullable=True),
        Feature(name="size", type="category", values=("S", "M", "L")),
        Feature(name="weekday", type="integer", minimum=1, maximum=7),
        Feature(name="card", type="boolean"),
    ]
    assert [column.keys for column in columns] == [(), (), ("no", "travel"), ("S", "M", "L"), (1, 7), ()]


def test_whole_numbers_may_be_missing() -> None:
    rows = pd.DataFrame({"age": pd.array([4, None], dtype="Int64"), "day": pd.Categorical([1, None])})
    columns = infer_columns(rows, ["age", "day"])
    assert [(one.feature.type, one.feature.nullable) for one in columns] == [("integer", True)] * 2
    assert to_table(columns, rows).to_pydict() == {"age": [4, None], "day": [1, None]}


def test_booleans_with_missing_values_become_integers_and_are_noted() -> None:
    rows = pd.DataFrame({"in stock": pd.array([True, None], dtype="boolean"), "card": [True, False]})
    columns = infer_columns(rows, ["in stock", "card"])
    assert columns[0].feature == Feature(name="in_stock", type="integer", minimum=0, maximum=1, nullable=True)
    assert is_flag(columns[0].feature.type, columns[0].feature.minimum, columns[0].feature.maximum)
    assert to_table(columns, rows).to_pydict() == {"in_stock": [1, None], "card": [True, False]}
    [note] = boolean_notes(columns, rows)
    assert note.startswith("'in stock' is boolean with missing values: served as an integer")


def test_booleans_in_an_object_column_are_refused_with_the_type_that_fits() -> None:
    rows = pd.DataFrame({"card": pd.Series([True, None], dtype=object)})
    with pytest.raises(ExportRefused, match=r"astype\('boolean'\)"):
        infer_columns(rows, ["card"])


def test_rows_become_a_table_under_the_features_names() -> None:
    columns = infer_columns(ROWS, list(ROWS.columns))
    assert to_table(columns, ROWS).to_pydict() == {
        "amount_EUR": [0.5, 88.0, None],
        "age": [18, 60, 33],
        "shop": ["travel", None, "no"],
        "size": ["S", "L", "S"],
        "weekday": [1, 7, 1],
        "card": [True, False, True],
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None, None], "has no values"),
        (pd.to_datetime(["2026-01-01", "2026-01-02"]), "turn dates into numbers"),
        ([1.0, np.inf], "infinite"),
        (["a", ""], "empty text"),
        (pd.array([2**40, None], dtype="Int64"), "above 2\\^24"),
        ([str(number) for number in range(2000)], "2000 different texts"),
    ],
)
def test_a_column_that_cannot_be_served_is_refused_by_name(values: object, message: str) -> None:
    with pytest.raises(ExportRefused, match=f"(?s)column 'seen'.*{message}"):
        infer_columns(pd.DataFrame({"seen": values}), ["seen"])


def test_many_categories_are_served_without_a_list_if_the_model_takes_unknown_ones() -> None:
    rows = pd.DataFrame({"shop": [f"s{number % 1500}" for number in range(3000)]})
    (column,) = infer_columns(rows, ["shop"])
    assert column.feature == Feature(name="shop", type="category", unknown="serve")
    assert len(column.keys) == 1500
    with pytest.raises(ExportRefused, match="'shop' has 1500 different texts, and the model refuses others"):
        require_listed([column])
    require_listed(infer_columns(ROWS, list(ROWS.columns)))


def test_reserved_names_are_changed() -> None:
    rows = pd.DataFrame({"label": [1.0, 2.0]})
    assert infer_columns(rows, ["label"])[0].name == "label"
    assert infer_columns(rows, ["label"], reserved=ANSWER_NAMES["classes"])[0].name == "label_"


def test_a_column_that_the_rows_lack_is_named() -> None:
    with pytest.raises(ExportRefused, match="no column 'height'"):
        infer_columns(ROWS, ["age", "height"])
