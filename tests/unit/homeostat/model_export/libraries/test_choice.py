from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV

import homeostat
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


class OwnRegression(LinearRegression):  # type: ignore[misc]
    """A class of the user's, derived from one of scikit-learn."""


@pytest.mark.parametrize("searched", [False, True])
def test_class_derived_from_one_of_scikit_learn_is_named(searched: bool, tmp_path: Path) -> None:
    rows = pd.DataFrame({"amount": [1.0, 2.0, 4.0, 8.0] * 5, "outcome": [3.0, 5.0, 9.0, 17.0] * 5})
    estimator = GridSearchCV(OwnRegression(), {"positive": [True]}, cv=2) if searched else OwnRegression()
    fitted = estimator.fit(rows[["amount"]], rows["outcome"])
    with pytest.raises(ExportRefused, match="OwnRegression"):
        homeostat.export(fitted, rows, tmp_path / "project")
