from __future__ import annotations

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from homeostat.model_export.libraries.choice import source_model
from shared.errors import ExportRefused


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(ExportRefused, match="builtins.dict is not a model"):
        source_model({}, pd.DataFrame(), None, options={})


def test_class_in_the_place_of_a_model_is_named() -> None:
    with pytest.raises(ExportRefused) as refused:
        source_model(LinearRegression, pd.DataFrame(), None, options={})
    assert (
        str(refused.value)
        == "LinearRegression is a class, not a fitted model (pass the object that fit() returns)"
    )
