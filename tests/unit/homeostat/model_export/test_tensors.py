from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from homeostat.model_export.tensors import is_tensor_column, tensor_lists, tensor_values, to_frame
from shared.errors import ExportRefused

PIXELS = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
FORMS: dict[str, Any] = {
    "lists": pd.Series([one.tolist() for one in PIXELS]),
    "tuples": pd.Series([tuple(map(tuple, one.tolist())) for one in PIXELS]),
    "arrays": pd.Series(list(PIXELS.astype(np.uint8))),
    "nested lists of Arrow": pa.table({"image": [one.tolist() for one in PIXELS]}).to_pandas()["image"],
    "fixed-size lists of Arrow": to_frame(
        pa.table(
            {"image": pa.array([one.tolist() for one in PIXELS], pa.list_(pa.list_(pa.float32(), 2), 2))}
        )
    )["image"],
    "tensors of Arrow": to_frame(pa.table({"image": pa.FixedShapeTensorArray.from_numpy_ndarray(PIXELS)}))[
        "image"
    ],
}


@pytest.mark.parametrize("column", FORMS.values(), ids=FORMS.keys())
def test_every_form_is_one_array(column: pd.Series[Any]) -> None:
    assert is_tensor_column(column)
    np.testing.assert_array_equal(tensor_values(column), PIXELS)
    assert tensor_lists(column).to_pylist() == PIXELS.reshape(3, 4).tolist()


def test_texts_and_numbers_are_no_tensors() -> None:
    assert not is_tensor_column(pd.Series(["a", None]))
    assert not is_tensor_column(pd.Series([1.0]))
    assert not is_tensor_column(pd.Series([None], dtype=object))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0], [1.0]], r"has shape \[1\] in row 1, and \[2\] in row 0"),
        ([[1.0, 2.0], [[1.0], 2.0]], "a value in row 1 that is no array of numbers"),
        ([["a"]], "a value in row 0 that is no array of numbers"),
        ([[]], r"holds arrays of shape \[0\]"),
        ([[1.0], None], r"has shape \[\] in row 1"),
    ],
)
def test_uneven_rows_are_named(values: list[Any], message: str) -> None:
    with pytest.raises(ExportRefused, match=message):
        tensor_values(pd.Series(values, name="image"))
